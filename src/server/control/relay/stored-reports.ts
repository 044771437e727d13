/** The number of reports of one session that were stored, as something to wait for. */
export class StoredReports {
  #count = 0;
  #waits: { upTo: number; settle: () => void }[] = [];
  #closed = false;

  /** Settles when `more` reports are stored beyond those that are, or none will be. */
  waitFor(more: number): Promise<void> {
    if (more === 0 || this.#closed) return Promise.resolve();
    return new Promise((settle) => this.#waits.push({ upTo: this.#count + more, settle }));
  }

  add(count: number): void {
    this.#count += count;
    for (const { upTo, settle } of this.#waits) if (upTo <= this.#count) settle();
    this.#waits = this.#waits.filter(({ upTo }) => upTo > this.#count);
  }

  /** No more are stored. */
  close(): void {
    this.#closed = true;
    for (const { settle } of this.#waits.splice(0)) settle();
  }
}
