/** Repeats work, with an interval between the end of one run and the start of the next, so that runs never overlap. */
export interface PollDeps {
  work: () => Promise<void>;
  intervalMs: number;
  /** Called when a run was rejected. The next run starts after the interval. */
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

  /** Starts. The first run begins after one interval. */
  start(): void {
    if (this.#stopped) return;
    const { work, intervalMs, failed } = this.#deps;
    this.#timer = setTimeout(() => {
      this.#working = work()
        .catch(failed)
        .finally(() => this.start());
    }, intervalMs).unref();
  }

  /** Stops. Settles when no run is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#working;
  }
}
