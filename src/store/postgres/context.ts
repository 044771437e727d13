/** The state that the parts of the store share. */
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

/** The writers of the store: writes for one machine are committed in the order in which they were submitted. */
export class Writers {
  readonly #writers: readonly Writer[];

  constructor(address: DatabaseAddress, count: number, hooks: WriterHooks) {
    this.#writers = Array.from({ length: count }, () => new Writer(address, hooks));
  }

  write<T>(machineId: string, work: Work<T>): Promise<T> {
    const writer = this.#writers[hashOf(machineId) % this.#writers.length];
    if (writer === undefined) return Promise.reject(new StoreUnavailableError('the store has no writers'));
    return writer.write(work);
  }

  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.close()));
  }
}

/** Spreads ids that differ in their last characters. */
function hashOf(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) hash = (hash * 31 + text.charCodeAt(index)) | 0;
  return hash >>> 0;
}
