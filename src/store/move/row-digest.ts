/** Computes a digest of the rows of a table that does not depend on the database they are read from. */
import { createHash, type Hash } from 'node:crypto';

type Value = number | string | boolean | Buffer | null;

/** The digest of rows that are added in the order of their key. */
export class RowDigest {
  readonly #hash: Hash = createHash('sha256');
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  add(row: readonly unknown[]): void {
    this.#rows += 1;
    for (const value of row) this.#addValue(value as Value);
  }

  /** Returns the digest in hexadecimal. Nothing can be added afterwards. */
  end(): string {
    return this.#hash.digest('hex');
  }

  /** Adds a value with its kind and length, so that no two rows give the same bytes. SQLite has 0 and 1 for false and true. */
  #addValue(value: Value): void {
    if (value === null) this.#hash.update('null;');
    else if (Buffer.isBuffer(value)) this.#hash.update(`bytes ${value.length}:`).update(value);
    else if (typeof value === 'string') this.#hash.update(`text ${Buffer.byteLength(value)}:`).update(value);
    else this.#hash.update(`number ${Number(value)};`);
  }
}
