/** Whether the loop that keeps the agent linked goes round: whoever waits in it says by when it will be heard of again. */
export class Liveness {
  readonly #now: () => number;
  #due = Number.POSITIVE_INFINITY;

  /** `now`: a monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** It goes round now, and will again within `ms`. */
  expectWithin(ms: number): void {
    this.#due = this.#now() + ms;
  }

  /** Whether it is not overdue. */
  get alive(): boolean {
    return this.#now() <= this.#due;
  }
}
