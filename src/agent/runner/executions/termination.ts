import { setTimeout as sleep } from 'node:timers/promises';
import { startLongTimer } from '../long-timer.ts';
import type { Spawner } from '../spawner/spawner.ts';
import type { Cause } from './outcome.ts';

const SIGTERM = 15;
/** Sent to nobody: only asks whether the process is there, kill(2). */
const PROBE = 0;
const LOOK_EVERY_MS = 50;

/**
 * Ends a running command. Whoever asks first gives the cause; whoever asks later can only make it faster. Owns the timer
 * of the grace; `close` ends it.
 */
export class Termination {
  readonly #spawner: Spawner;
  readonly #handle: number;
  #cause: Cause | undefined;
  #cancelGrace: () => void = () => {};
  #killAt = Number.POSITIVE_INFINITY;
  #killing: Promise<void> | undefined;

  constructor(spawner: Spawner, handle: number) {
    this.#spawner = spawner;
    this.#handle = handle;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** SIGKILL is on its way to the tree. */
  get killed(): boolean {
    return this.#killing !== undefined;
  }

  /** SIGTERM to the group, SIGKILL to the tree after `graceMs`. Nothing where the main process had ended by itself. */
  ask(cause: Cause, graceMs: number): void {
    if (this.#cause === undefined && !this.#spawner.signal(this.#handle, SIGTERM)) return;
    this.#cause ??= cause;
    const killAt = performance.now() + graceMs;
    if (this.#killing !== undefined || killAt >= this.#killAt) return;
    this.#killAt = killAt;
    this.#cancelGrace();
    this.#cancelGrace = startLongTimer(graceMs, () => this.#kill());
  }

  /** SIGKILL to the tree at once. Nothing where the main process had ended by itself. */
  kill(cause: Cause): void {
    if (this.#cause === undefined && !this.#spawner.signal(this.#handle, PROBE)) return;
    this.#cause ??= cause;
    this.#kill();
  }

  /** Once the main process is gone: settles when the rest of the tree is gone as well, by itself or killed. */
  async gone(): Promise<void> {
    while (this.#killing === undefined && (await this.#spawner.treeAlive(this.#handle))) await sleep(LOOK_EVERY_MS);
    await this.#killing;
  }

  close(): void {
    this.#cancelGrace();
  }

  #kill(): void {
    this.#cancelGrace();
    if (this.#killing !== undefined) return;
    this.#killing = this.#spawner.killTree(this.#handle);
    // Its exit comes behind its output, even where output has to wait; what is left in its pipes is little.
    this.#spawner.resume(this.#handle);
  }
}
