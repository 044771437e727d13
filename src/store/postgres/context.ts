/** The state that the parts of the store share. */
import { StoreUnavailableError } from '../store.ts';
import { Lane, type LaneHooks } from './lanes/lane.ts';
import type { Work } from './lanes/needs.ts';
import type { Readers } from './connections/slots.ts';
import type { Transactions } from './connections/transactions.ts';
import type { DatabaseAddress } from './connections/url.ts';

export interface Context {
  read: Readers['query'];
  /** Use cases of executions, committed in groups. */
  lanes: Lanes;
  /** All other writes. */
  transactions: Transactions;
  /** The id of this server in the table of replicas. */
  replicaId: () => number;
}

/** Writer lanes: writes for one machine are committed in the order in which they were submitted. */
export class Lanes {
  readonly #lanes: readonly Lane[];

  constructor(address: DatabaseAddress, count: number, hooks: LaneHooks) {
    this.#lanes = Array.from({ length: count }, () => new Lane(address, hooks));
  }

  write<T>(machineId: string, work: Work<T>): Promise<T> {
    const lane = this.#lanes[hashOf(machineId) % this.#lanes.length];
    if (lane === undefined) return Promise.reject(new StoreUnavailableError('the store has no lanes'));
    return lane.write(work);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/** Spreads ids that differ in their last characters. */
function hashOf(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) hash = (hash * 31 + text.charCodeAt(index)) | 0;
  return hash >>> 0;
}
