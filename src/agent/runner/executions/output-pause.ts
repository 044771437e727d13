import type { StreamName } from './output.ts';

/**
 * Pauses the reading of a command's output, so that the command waits in its writes: while the runner holds all commands (its journal is
 * full), and while one of its streams is beyond its limit.
 */
export class OutputPause {
  readonly #reading: { pause(): void; resume(): void };
  #limits: Record<StreamName, number>;
  readonly #taken: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  #held = false;
  #paused = false;

  /** `limit`: the offset beyond which a stream waits. Undefined: none. */
  constructor(limit: number | undefined, reading: { pause(): void; resume(): void }) {
    const bytes = limit ?? Number.POSITIVE_INFINITY;
    this.#limits = { stdout: bytes, stderr: bytes };
    this.#reading = reading;
  }

  /** Sets whether the runner holds all commands. */
  hold(held: boolean): void {
    this.#held = held;
    this.#apply();
  }

  /** Adds bytes that were read of a stream. */
  taken(stream: StreamName, bytes: number): void {
    this.#taken[stream] = bytes;
    this.#apply();
  }

  /** Sets a limit. Limits only rise. */
  raiseLimit({ stdout, stderr }: Readonly<Record<StreamName, number>>): void {
    this.#limits = { stdout: Math.max(this.#limits.stdout, stdout), stderr: Math.max(this.#limits.stderr, stderr) };
    this.#apply();
  }

  /** Removes the limits. */
  liftLimit(): void {
    this.#limits = { stdout: Number.POSITIVE_INFINITY, stderr: Number.POSITIVE_INFINITY };
    this.#apply();
  }

  #apply(): void {
    const isBeyond = this.#taken.stdout > this.#limits.stdout || this.#taken.stderr > this.#limits.stderr;
    const paused = this.#held || isBeyond;
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#reading.pause();
    else this.#reading.resume();
  }
}
