/** The objects that the parts of the store share. */
import { StoreUnavailableError } from '../store.ts';
import { Writer, type WriterHooks } from './writers/writer.ts';
import type { Work } from './writers/needs.ts';
import type { Readers } from './connections/slots.ts';
import type { Transactions } from './connections/transactions.ts';
import type { DatabaseAddress } from './connections/url.ts';

export interface Context {
  read: Readers['query'];
  /** Use cases of executions, committed in groups. */
  writers: Writers;
  /** All other writes. */
  transactions: Transactions;
  /** The id of this server in the table of replicas. */
  replicaId: () => number;
}

/** Duration of a batch after which writes of other machines use another writer, ms: the batch waits for a lock or has much output. */
const SLOW_BATCH_MS = 100;

/**
 * The writers of the store. Writes for one machine are committed in the order in which they were submitted. The first writer gets as many
 * writes as possible: one large transaction costs a fraction of several small ones.
 */
export class Writers {
  readonly #writers: readonly Writer[];
  /** The writer of each machine with a write under way, and the number of those writes. */
  readonly #used = new Map<string, { writer: Writer; writes: number }>();

  constructor(address: DatabaseAddress, count: number, hooks: WriterHooks) {
    this.#writers = Array.from({ length: count }, () => new Writer(address, hooks));
  }

  write<T>(machineId: string, work: Work<T>): Promise<T> {
    const writer = this.#used.get(machineId)?.writer ?? this.#writers.toSorted(byDelay)[0];
    if (writer === undefined) return Promise.reject(new StoreUnavailableError('the store has no writers'));
    const used = this.#used.get(machineId) ?? { writer, writes: 0 };
    used.writes += 1;
    this.#used.set(machineId, used);
    return writer.write(work).finally(() => {
      used.writes -= 1;
      if (used.writes === 0) this.#used.delete(machineId);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.close()));
  }
}

/** Sorts writers without a slow batch first, otherwise in their order. */
function byDelay(a: Writer, b: Writer): number {
  return Math.max(a.busyMs, SLOW_BATCH_MS) - Math.max(b.busyMs, SLOW_BATCH_MS);
}
