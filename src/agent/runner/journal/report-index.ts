/** The positions of the unacknowledged reports of one execution in the journal: contiguous numbers, 16 bytes of memory each. */
export class ReportIndex {
  #first = 1;
  #head = 0;
  #positions: number[] = [];
  #lengths: number[] = [];

  /** The lowest number in the index; the next one if the index is empty. */
  get first(): number {
    return this.#first;
  }

  /** The highest number in the index; `first - 1` if it is empty. */
  get last(): number {
    return this.#first + this.#positions.length - this.#head - 1;
  }

  /** Adds the report after the last. The very first one may have any number. Throws RangeError on a gap. */
  push(number: number, position: number, length: number): void {
    if (this.last < this.#first) this.#first = Math.max(this.#first, number);
    if (number !== this.last + 1) throw new RangeError(`report ${number} behind ${this.last}`);
    this.#positions.push(position);
    this.#lengths.push(length);
  }

  /** Returns the position of report `number`, which must be in the index. */
  at(number: number): { position: number; length: number } {
    const i = number - this.#first + this.#head;
    const position = this.#positions[i];
    const length = this.#lengths[i];
    if (i < this.#head || position === undefined || length === undefined) throw new RangeError(`no report ${number}`);
    return { position, length };
  }

  /** Drops the reports up to `number`, and calls `dropped` for each. */
  dropThrough(number: number, dropped: (position: number, length: number) => void): void {
    for (let last = Math.min(number, this.last); this.#first <= last; this.#first++, this.#head++) {
      dropped(this.#positions[this.#head] ?? 0, this.#lengths[this.#head] ?? 0);
    }
    if (this.#head > 64 && this.#head * 2 > this.#positions.length) this.#compact();
  }

  #compact(): void {
    this.#positions = this.#positions.slice(this.#head);
    this.#lengths = this.#lengths.slice(this.#head);
    this.#head = 0;
  }
}
