/** Slows down guessing: refuses an address that has failed too often within a window for the rest of the window. */
export class FailureLimit {
  readonly #maxFailures: number;
  readonly #windowMs: number;
  readonly #addresses: number;
  readonly #attempts = new Map<string, { count: number; until: number }>();

  /** `maxFailures` per address in `windowMs`; at most `addresses` addresses (the oldest is dropped first). */
  constructor(p: { maxFailures: number; windowMs: number; addresses: number }) {
    this.#maxFailures = p.maxFailures;
    this.#windowMs = p.windowMs;
    this.#addresses = p.addresses;
  }

  /** Counts an attempt as failed, before its result is awaited: concurrent attempts count like successive ones. `now` in ms. */
  enter(address: string, now: number): void {
    const known = this.#attempts.get(address);
    if (known !== undefined && known.until > now) {
      known.count += 1;
      return;
    }
    this.#attempts.delete(address);
    this.#attempts.set(address, { count: 1, until: now + this.#windowMs });
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > this.#addresses && oldest !== undefined) this.#attempts.delete(oldest);
  }

  /** Takes back the failure of an attempt that has succeeded. */
  succeeded(address: string): void {
    const known = this.#attempts.get(address);
    if (known !== undefined) known.count -= 1;
  }

  /** Returns the ms until the address may fail again; 0 if its attempts are within the limit. */
  waitMs(address: string, now: number): number {
    const known = this.#attempts.get(address);
    if (known === undefined || known.count <= this.#maxFailures) return 0;
    return Math.max(0, known.until - now);
  }
}
