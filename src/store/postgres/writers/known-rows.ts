/**
 * The rows that a writer has committed last, with their versions. A batch that needs no other rows decides on them without reading them again,
 * in one round trip: its statements fail if a row has changed since, and then the batch reads its rows.
 */
import type { ExecutionRecord } from '../../../core/decisions/execution-draft.ts';
import { isTerminal } from '../../../core/execution.ts';
import type { Connection } from '../connections/connection.ts';
import type { Batch, Touched } from './batch.ts';
import type { TouchedMachine } from './batch-machines.ts';
import type { Needs } from './needs.ts';

/** Maximum numbers of rows. Beyond it those that were not used for the longest time are forgotten. */
const MAX_EXECUTIONS = 4096;
const MAX_MACHINES = 4096;
/** Maximum size of the request of a known execution: a request can have megabytes. */
const MAX_REQUEST_BYTES = 8192;
/** Number of batches that read all their rows after one that met a changed row: other servers probably write the same rows. */
const PAUSE_BATCHES = 100;
/** Versions are ids of transactions, which are given again after 4 billion others. */
const MAX_AGE_TRANSACTIONS = 1_000_000_000n;

/** `writtenBy`: the id of the transaction that wrote the row last. */
export interface KnownExecution {
  record: ExecutionRecord;
  writtenBy: bigint;
}

export type KnownMachine = Pick<TouchedMachine, 'record' | 'row' | 'counters' | 'owner' | 'operator'> & {
  writtenBy: bigint;
};

/** The known rows and keys that a batch uses instead of a read. */
export interface Reused {
  executions: readonly KnownExecution[];
  machines: readonly KnownMachine[];
  /** Keys for new executions, above the keys of all executions on these machines. */
  freshKeys: readonly number[];
}

/** A batch that was committed. */
interface Committed {
  transactionId: string;
  batch: Batch;
  /** Keys that it has drawn and not used. */
  freshKeys: readonly number[];
}

/** Rows by public id, of one connection: after the loss of a connection, the database may have lost commits. */
export class KnownRows {
  #connection: Connection | undefined;
  readonly #executions = new Map<string, KnownExecution>();
  readonly #machines = new Map<string, KnownMachine>();
  #freshKeys: readonly number[] = [];
  #newest = 0n;
  #pause = 0;

  /** Number of keys for new executions that are left. */
  get freshKeyCount(): number {
    return this.#freshKeys.length;
  }

  /**
   * Returns the rows and keys that a batch needs, if all of them are known. They are forgotten until they are committed again. Undefined:
   * the batch has to read its rows.
   */
  take(connection: Connection, all: readonly Needs[]): Reused | undefined {
    if (this.#connection !== connection) this.#clear(connection);
    if (this.#pause > 0) this.#pause -= 1;
    const creates = all.filter((needs) => needs.creates === 'execution').length;
    const executions = this.#takeAll(
      this.#executions,
      all.flatMap((needs) => needs.executions ?? []),
    );
    const machines = this.#takeAll(
      this.#machines,
      all.flatMap((needs) => needs.machines ?? []),
    );
    const freshKeys = this.#freshKeys.slice(0, creates);
    this.#freshKeys = this.#freshKeys.slice(creates);
    const mayReuse = this.#pause === 0 && all.every((needs) => needs.reuses === true);
    if (mayReuse && executions !== undefined && machines !== undefined && freshKeys.length === creates)
      return { executions, machines, freshKeys };
    // Another server may have drawn larger keys for a machine that is not known.
    this.#freshKeys = [];
    return undefined;
  }

  /** A row was found changed. */
  pause(): void {
    this.#pause = PAUSE_BATCHES;
  }

  /** Remembers what was committed on a connection. */
  keep(connection: Connection, { transactionId, batch, freshKeys }: Committed): void {
    if (this.#connection !== connection) return;
    this.#freshKeys = [...this.#freshKeys, ...freshKeys];
    this.#newest = BigInt(transactionId);
    for (const touched of batch.executions.values()) this.#keepExecution(touched);
    for (const touched of batch.machines.touched.values()) this.#keepMachine(touched);
  }

  #keepExecution({ record, changed, writtenBy }: Touched): void {
    const { executionId, outputMode, status } = record.execution;
    const present = changed ? this.#newest : writtenBy;
    // The row of an execution with streamed output is also written for its readers.
    if (present === undefined || isTerminal(status) || outputMode !== undefined) return;
    if (record.queuedBytes > MAX_REQUEST_BYTES) return;
    keepNewest(this.#executions, executionId, { record, writtenBy: present }, MAX_EXECUTIONS);
  }

  #keepMachine({ record, row, counters, owner, operator, changes, writtenBy }: TouchedMachine): void {
    const present = changes.size > 0 ? this.#newest : writtenBy;
    // Other changes are not part of `row`.
    if (present === undefined || row === undefined || [...changes].some((change) => change !== 'counters')) return;
    const known = { record, row, counters, owner, operator, writtenBy: present };
    keepNewest(this.#machines, record.machine.machineId, known, MAX_MACHINES);
  }

  #takeAll<T extends { writtenBy: bigint }>(rows: Map<string, T>, ids: readonly string[]): T[] | undefined {
    const distinct = [...new Set(ids)];
    const found = distinct.flatMap((id) => {
      const row = rows.get(id);
      rows.delete(id);
      return row === undefined || this.#newest - row.writtenBy > MAX_AGE_TRANSACTIONS ? [] : [row];
    });
    return found.length === distinct.length ? found : undefined;
  }

  #clear(connection: Connection): void {
    this.#connection = connection;
    this.#executions.clear();
    this.#machines.clear();
    this.#freshKeys = [];
  }
}

function keepNewest<T>(rows: Map<string, T>, id: string, row: T, limit: number): void {
  rows.set(id, row);
  const [oldest] = rows.keys();
  if (rows.size > limit && oldest !== undefined) rows.delete(oldest);
}
