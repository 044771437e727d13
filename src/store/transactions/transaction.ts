/**
 * What a use case sees of the database within one transaction, whatever the database: everything that it reads is locked, and what it
 * writes is seen by the use cases that come after it in the same transaction. Nothing here waits: SQLite reads at once, and PostgreSQL
 * has loaded what was announced.
 */
import type { ExecutionChange, ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import type { MachineQueue, NewRecord } from '../../core/decisions/queue.ts';
import type { NewExecution } from '../../core/execution.ts';
import type { Actor, Idempotency, Replay } from '../roles/idempotency.ts';

export interface Transaction {
  /** Whether the key of `actor` may act still; true for none. */
  mayAct(actor: Actor | undefined, now: number): boolean;
  /** The replay that this key calls for, if it is bound and not expired. */
  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined;
  /** Binds the key, in the place of an expired one. */
  bind(idempotency: Idempotency | undefined, resource: string): void;
  queue(machineId: string): MachineQueue | undefined;
  /** Writes a new execution, its first event and its input, and the queue after it. */
  insert(record: NewRecord, asked: NewExecution, queue: MachineQueue): void;
  execution(executionId: string): ExecutionRecord | undefined;
  /** Its env and stdin, sealed, as long as it has not ended. */
  sealedInput(record: ExecutionRecord): Buffer | undefined;
  /** Writes what a decision made of an execution, and what follows for the queue of its machine. */
  save(change: ExecutionChange): void;
  /** The machine's oldest that are queued, neither dispatched nor expired. */
  claimable(p: { machineId: string; now: number; limit: number }): readonly ExecutionRecord[];
  /** The machine's oldest that wait for it to wake. */
  waking(p: { machineId: string; limit: number }): readonly ExecutionRecord[];
}
