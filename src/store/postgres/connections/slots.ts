/** Connections that are opened on demand and replaced when they are lost. */
import { randomUUID } from 'node:crypto';
import { StoreUnavailableError } from '../../store.ts';
import { type Connection, type ConnectionOptions, connect } from './connection.ts';
import { asStoreError } from './failures.ts';
import type { Statement } from './statement-group.ts';
import type { DatabaseAddress } from './url.ts';

/**
 * Makes statements find rows by index. Otherwise a plan that was made while a table was small reads the whole table, and is kept until the
 * table is analysed: for minutes in a new database, in which a statement takes many times as long. Up to version 17 a plan that cannot do
 * without such a scan counts as expensive, so that PostgreSQL compiles it for each execution: 300 ms for a statement of 0.1 ms.
 */
export const BY_INDEX: Statement = { text: 'SET enable_seqscan = off; SET jit = off' };

/** Holds one connection, and replaces a lost one. Opens one at a time. */
export class ConnectionSlot {
  /** The key of the receipts of its transactions. */
  readonly id = randomUUID();
  readonly #address: DatabaseAddress;
  readonly #options: ConnectionOptions | undefined;
  #connection: Promise<Connection> | undefined;
  #closed = false;

  constructor(address: DatabaseAddress, options?: ConnectionOptions) {
    this.#address = address;
    this.#options = options;
  }

  /** Returns the connection, opened if necessary. Rejects with StoreUnavailableError. */
  async get(): Promise<Connection> {
    if (this.#closed) throw new StoreUnavailableError('the store is closed');
    this.#connection ??= connect(this.#address, this.#options);
    const dialled = this.#connection;
    try {
      const connection = await dialled;
      if (connection.alive) return connection;
      if (this.#connection === dialled) this.#connection = undefined;
    } catch (error) {
      if (this.#connection === dialled) this.#connection = undefined;
      throw error;
    }
    return this.get();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = await this.#connection?.catch(() => undefined);
    if (connection?.alive === true) await connection.close();
  }
}

/** Connections shared by reads. A read is one statement, which is sent without waiting for the answers to others. */
export class Readers {
  readonly #slots: readonly ConnectionSlot[];
  #turn = 0;

  constructor(address: DatabaseAddress, count: number) {
    this.#slots = Array.from({ length: count }, () => new ConnectionSlot(address, { settings: BY_INDEX }));
  }

  /** Reads, and reads once more if the connection was lost meanwhile. Rejects with StoreUnavailableError. */
  async query<Row extends object>(statement: Statement): Promise<Row[]> {
    this.#turn += 1;
    const slot = this.#slots[this.#turn % this.#slots.length];
    if (slot === undefined) throw new Error('there are no readers');
    const connection = await slot.get();
    try {
      return await connection.query<Row>(statement);
    } catch (error) {
      if (connection.alive) throw asStoreError(error);
    }
    return (await slot.get()).query<Row>(statement).catch((error: unknown) => {
      throw asStoreError(error);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }
}
