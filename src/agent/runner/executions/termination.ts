import { setTimeout as sleep } from 'node:timers/promises';
import { startLongTimer } from './long-timer.ts';
import type { Spawner } from '../spawner/spawner.ts';
import type { Cause } from './outcome.ts';

const SIGHUP = 1;
const SIGTERM = 15;
const SIGCONT = 18;
/** Signal 0 is not sent: kill(2) only checks whether the process exists. */
const PROBE = 0;
const POLL_INTERVAL_MS = 50;
/** Time after which a process that SIGKILL has not ended counts as unkillable, ms: it is another user's, or hangs in the kernel. */
const KILL_TIMEOUT_MS = 10_000;

export interface TerminationOptions {
  spawner: Spawner;
  handle: number;
  /** Whether it runs on a terminal. It may be an interactive shell, which ignores SIGTERM and is ended by SIGHUP. */
  terminal: boolean;
  /** Whether it is the shell of a terminal. Closing that is a hangup: SIGHUP without SIGTERM. */
  loginShell: boolean;
  /** Called if SIGKILL has not ended all of its processes. */
  onKillFailed: () => void;
}

/**
 * Ends a running command. The first request sets the cause; later ones can only make it faster. Owns the timers of the grace and of the
 * kill, which `close` ends.
 */
export class Termination {
  readonly #options: TerminationOptions;
  readonly #spawner: Spawner;
  readonly #handle: number;
  #cause: Cause | undefined;
  #cancelGrace: () => void = () => {};
  #killAt = Number.POSITIVE_INFINITY;
  #killing: Promise<void> | undefined;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(options: TerminationOptions) {
    this.#options = options;
    this.#spawner = options.spawner;
    this.#handle = options.handle;
  }

  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** Whether SIGKILL was sent to the tree. */
  get killed(): boolean {
    return this.#killing !== undefined;
  }

  /**
   * Sends SIGTERM, to a terminal SIGHUP, and SIGCONT (a stopped process takes no other signal) to the group, and SIGKILL to the tree
   * after `graceMs`. Does nothing if the main process had ended by itself. A timeout, which may have passed before the command ran,
   * sends SIGKILL at once.
   */
  ask(cause: Cause, graceMs: number): void {
    if (cause === 'timeout') {
      this.kill(cause);
      return;
    }
    if (this.#cause === undefined && !this.#askToEnd()) return;
    this.#cause ??= cause;
    const killAt = performance.now() + graceMs;
    if (this.#killing !== undefined || killAt >= this.#killAt) return;
    this.#killAt = killAt;
    this.#cancelGrace();
    this.#cancelGrace = startLongTimer(graceMs, () => this.#kill());
  }

  /** Sends SIGKILL to the tree at once. Does nothing if the main process had ended by itself. */
  kill(cause: Cause): void {
    if (this.#cause === undefined && !this.#spawner.signal(this.#handle, PROBE)) return;
    this.#cause ??= cause;
    this.#kill();
  }

  /** Handles the end of the main process. Settles when the rest of the tree has ended or was killed. */
  async mainExited(): Promise<void> {
    while (this.#killing === undefined && (await this.#spawner.treeAlive(this.#handle))) await sleep(POLL_INTERVAL_MS);
    await this.#killing;
  }

  close(): void {
    this.#cancelGrace();
    clearTimeout(this.#killTimer);
  }

  /** Returns false if the main process had ended by itself. */
  #askToEnd(): boolean {
    const { terminal, loginShell } = this.#options;
    const signals = [...(loginShell ? [] : [SIGTERM]), ...(terminal ? [SIGHUP] : []), SIGCONT];
    return signals.map((number) => this.#spawner.signal(this.#handle, number)).includes(true);
  }

  #kill(): void {
    this.#cancelGrace();
    if (this.#killing !== undefined) return;
    this.#killTimer = setTimeout(this.#options.onKillFailed, KILL_TIMEOUT_MS);
    this.#killing = this.#spawner.killTree(this.#handle);
    // Its exit comes after its output, even if output has to wait. Little is left in its pipes.
    this.#spawner.resume(this.#handle);
  }
}
