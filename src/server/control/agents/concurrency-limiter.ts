/** Limits how much work runs at a time. More work waits in a bounded queue (fault matrix, line 17). */
export class ConcurrencyLimiter {
  readonly #limit: number;
  readonly #lineLimit: number;
  readonly #line: (() => void)[] = [];
  #inside = 0;

  /** `limit` tasks run at a time; `lineLimit` more may wait. */
  constructor(limit: number, lineLimit: number) {
    this.#limit = limit;
    this.#lineLimit = lineLimit;
  }

  /** Runs `work` when its turn comes, and settles as it does. `refused` if the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T | 'refused'> {
    if (this.#inside >= this.#limit) {
      if (this.#line.length >= this.#lineLimit) return 'refused';
      await new Promise<void>((resolve) => this.#line.push(resolve));
    } else {
      this.#inside += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }
}
