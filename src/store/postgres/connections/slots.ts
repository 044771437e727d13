/** Connections that are opened when they are needed, and again when they were lost. */
import { randomUUID } from 'node:crypto';
import { StoreUnavailableError } from '../../store.ts';
import { type Connection, connect, type Statement } from './connection.ts';
import { asStoreError } from './failures.ts';
import type { DatabaseAddress } from './url.ts';

/**
 * For statements that find each row by an index. Without it a plan that was made while a table was small reads the whole table, and is
 * kept until the table is analysed: for minutes in a new database, where a statement then takes many times as long.
 */
export const BY_INDEX: Statement = { text: 'SET enable_seqscan = off' };

/** Holds one connection, and replaces a lost one. Opens one at a time. */
export class ConnectionSlot {
  /** The key of the receipts of its transactions. */
  readonly id = randomUUID();
  readonly #address: DatabaseAddress;
  readonly #settings: Statement | undefined;
  #connection: Promise<Connection> | undefined;
  #closed = false;

  /** `settings`: a statement that each new connection runs first. */
  constructor(address: DatabaseAddress, settings?: Statement) {
    this.#address = address;
    this.#settings = settings;
  }

  /** Rejects with StoreUnavailableError. */
  async get(): Promise<Connection> {
    if (this.#closed) throw new StoreUnavailableError('the store is closed');
    this.#connection ??= connect(this.#address, this.#settings);
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

/** Connections shared by reads: each is one statement, and none waits for the answer of another before it is sent. */
export class Readers {
  readonly #slots: readonly ConnectionSlot[];
  #turn = 0;

  constructor(address: DatabaseAddress, count: number) {
    this.#slots = Array.from({ length: count }, () => new ConnectionSlot(address, BY_INDEX));
  }

  /** Reads once more if the connection was lost during the read. Rejects with StoreUnavailableError. */
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
