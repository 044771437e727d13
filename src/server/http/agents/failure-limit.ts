/** Slows down guessing: an address that has failed too often in a window is refused for the rest of it. */
export class FailureLimit {
  readonly #most: number;
  readonly #windowMs: number;
  readonly #addresses: number;
  readonly #attempts = new Map<string, { count: number; until: number }>();

  /** `most` failures per address in `windowMs`; at most `addresses` addresses (the oldest is forgotten first). */
  constructor(p: { most: number; windowMs: number; addresses: number }) {
    this.#most = p.most;
    this.#windowMs = p.windowMs;
    this.#addresses = p.addresses;
  }

  /** Counts an attempt as failed, before anything is awaited for it: concurrent attempts count like successive ones. `now` in ms. */
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

  /** The attempt has succeeded after all. */
  succeeded(address: string): void {
    const known = this.#attempts.get(address);
    if (known !== undefined) known.count -= 1;
  }

  /** ms until the address may fail again; 0 if its attempts are within the limit. */
  waitMs(address: string, now: number): number {
    const known = this.#attempts.get(address);
    if (known === undefined || known.count <= this.#most) return 0;
    return Math.max(0, known.until - now);
  }
}
