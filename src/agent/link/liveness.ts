/** Detects whether the connection loop still runs: each step sets the time within which the next step has to follow. */
export class Liveness {
  readonly #now: () => number;
  #due = Number.POSITIVE_INFINITY;

  /** `now`: a monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Records a step; the next one has to follow within `ms`. */
  expectWithin(ms: number): void {
    this.#due = this.#now() + ms;
  }

  /** Whether the next step is not overdue. */
  get alive(): boolean {
    return this.#now() <= this.#due;
  }
}
