/**
 * Caches records that were written recently and not sent yet, so that sending them needs no read. The oldest are dropped first.
 */
export class RecordCache {
  readonly #limitBytes: number;
  readonly #records = new Map<number, Buffer>();
  #size = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  put(position: number, record: Buffer): void {
    this.#records.set(position, record);
    this.#size += record.length;
    for (const [oldest, { length }] of this.#records) {
      if (this.#size <= this.#limitBytes) return;
      this.#records.delete(oldest);
      this.#size -= length;
    }
  }

  /** Returns and drops the record at `position`: a sent record is rarely sent again. */
  take(position: number): Buffer | undefined {
    const record = this.#records.get(position);
    if (record !== undefined && this.#records.delete(position)) this.#size -= record.length;
    return record;
  }
}
