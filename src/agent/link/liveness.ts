/** Tells whether the connection loop still runs: each step states the time within which the next sign of life comes. */
export class Liveness {
  readonly #now: () => number;
  #due = Number.POSITIVE_INFINITY;

  /** `now`: a monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Sign of life now; the next one comes within `ms`. */
  expectWithin(ms: number): void {
    this.#due = this.#now() + ms;
  }

  /** Whether the next sign of life is not overdue. */
  get alive(): boolean {
    return this.#now() <= this.#due;
  }
}
