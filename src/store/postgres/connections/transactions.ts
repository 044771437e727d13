/** Transactions of several round trips, each with exclusive use of a connection meanwhile. */
import { StoreUnavailableError } from '../../store.ts';
import { type Body, transact } from './commit.ts';
import type { Connection } from './connection.ts';
import { ConnectionSlot } from './slots.ts';
import type { DatabaseAddress } from './url.ts';

/** Callers wait for their transactions, so this many mean that something is badly wrong. */
const MAX_WAITING = 100_000;

/** Runs transactions, each on a connection of a bounded pool. */
export class Transactions {
  readonly #address: DatabaseAddress;
  readonly #free: ConnectionSlot[];
  readonly #slots: readonly ConnectionSlot[];
  readonly #waiting: ((slot: ConnectionSlot) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(address: DatabaseAddress, connections: number) {
    this.#address = address;
    this.#slots = Array.from({ length: connections }, () => new ConnectionSlot(address));
    this.#free = [...this.#slots];
  }

  /** See `transact`. */
  run<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#run(async (connection) => ({ result: await body(connection) }));
  }

  /** The same for work that is repeated anyway, so that a crash of the database may lose it without harm. */
  poll<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#run(async (connection) => ({ result: await body(connection), disposable: true }));
  }

  async #run<T>(body: Body<T>): Promise<T> {
    if (this.#closed) throw new StoreUnavailableError('the store is closed');
    if (this.#waiting.length >= MAX_WAITING) throw new StoreUnavailableError('too many writes wait');
    const run = this.#runOn(body);
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }

  /** Settles when all started transactions have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async #runOn<T>(body: Body<T>): Promise<T> {
    const slot = this.#free.pop() ?? (await new Promise<ConnectionSlot>((resolve) => this.#waiting.push(resolve)));
    try {
      return await transact(slot, this.#address, body);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(slot);
      else next(slot);
    }
  }
}
