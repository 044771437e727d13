/** Work that is done again and again: each time an interval after the last time has ended, so that it never runs twice at once. */
export interface PollDeps {
  work: () => Promise<void>;
  intervalMs: number;
  /** The work was rejected. It is done again after the next interval. */
  failed: (cause: unknown) => void;
}

/** Owns one timer, which keeps no process alive. */
export class Poll {
  readonly #deps: PollDeps;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: PollDeps) {
    this.#deps = deps;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The work is done for the first time after one interval. */
  start(): void {
    if (this.#stopped) return;
    const { work, intervalMs, failed } = this.#deps;
    this.#timer = setTimeout(() => {
      this.#working = work()
        .catch(failed)
        .finally(() => this.start());
    }, intervalMs).unref();
  }

  /** Settles when no work is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#working;
  }
}
