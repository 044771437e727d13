import pLimit, { type LimitFunction } from 'p-limit';

/** ConcurrencyLimiter: limits the number of tasks that run at a time. Further tasks wait in a bounded queue (fault matrix, line 17). */
export class ConcurrencyLimiter {
  readonly #run: LimitFunction;
  readonly #limit: number;

  /** `limit` tasks run at a time; `queueLimit` more may wait. */
  constructor(limit: number, queueLimit: number) {
    this.#run = pLimit(limit);
    this.#limit = limit + queueLimit;
  }

  /** Runs `work` when its turn comes, and settles as it does. `refused` if the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T | 'refused'> {
    if (this.#run.activeCount + this.#run.pendingCount >= this.#limit) return 'refused';
    return this.#run(work);
  }
}
