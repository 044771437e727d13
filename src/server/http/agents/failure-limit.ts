/** Slows down guessing: each address may fail so often in a window, then it is refused for the rest of it. */
export class FailureLimit {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #addresses: number;
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** `most` failures per address in `windowMs`; of `addresses` addresses at most (the oldest is forgotten first). */
  constructor(p: { most: number; windowMs: number; addresses: number }) {
    this.#most = p.most;
    this.#windowMs = p.windowMs;
    this.#addresses = p.addresses;
  }

  /** ms until the address may try again; 0 when it may now. `now` in ms. */
  waitMs(address: string, now: number): number {
    const known = this.#failures.get(address);
    if (known === undefined || known.count < this.#most) return 0;
    return Math.max(0, known.until - now);
  }

  failed(address: string, now: number): void {
    const known = this.#failures.get(address);
    if (known !== undefined && known.until > now) {
      known.count += 1;
      return;
    }
    this.#failures.delete(address);
    this.#failures.set(address, { count: 1, until: now + this.#windowMs });
    if (this.#failures.size <= this.#addresses) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      return;
    }
  }
}
