/** Use cases of callers: creating, reading, listing and cancelling executions, and reading their output. */
import type { Capabilities } from '../../core/decisions/machine-change.ts';
import type { Execution, ExecutionEvent, ExecutionStatus, NewExecution, Stream } from '../../core/execution.ts';
import type { LabelSelector } from '../../core/machines/labels.ts';
import type { Connection } from './dispatch.ts';
import type { ActorRevoked, OnBehalf, Replay } from './idempotency.ts';
import type { Page, PageRequest } from './pages.ts';

export type { Execution, ExecutionEvent, NewExecution } from '../../core/execution.ts';

export type CreateOutcome =
  | { outcome: 'created'; execution: Execution }
  | { outcome: 'machine_not_found' | 'machine_removed' | 'queue_full' }
  | Replay
  | ActorRevoked;

/** An earlier attempt has made it. */
export interface ExistingExecution {
  outcome: 'existing';
  execution: Execution;
}

export type CancelOutcome =
  /** `applied`: cancelled at once, or marked for its agent (`execution.dispatchedTo` is set); `stale`: nothing is left to do. */
  { outcome: 'applied' | 'stale'; execution: Execution } | { outcome: 'not_found' } | Replay | ActorRevoked;

export interface ExecutionStore {
  /**
   * Creates an execution with its first event: `queued` if the machine is connected (phase running), else `wake_in_progress`. With
   * `dispatchTo` (the machine's connection, on which a slot is reserved) it is dispatched in the same transaction, unless older executions
   * wait or the machine has another connection by now. With `mayExist` an earlier attempt, whose outcome is not known, may have created
   * it: `existing`.
   */
  createExecution(
    p: {
      execution: NewExecution;
      now: number;
      /** Maximum number of executions that may wait for one machine, and bytes of their requests; else `queue_full`. */
      queueLimit: number;
      queueBytes?: number;
      dispatchTo?: Connection;
      /** The capabilities of providers: a machine that was put to sleep is woken in the same transaction. */
      capabilities?: Capabilities;
      mayExist?: boolean;
    } & OnBehalf,
  ): Promise<CreateOutcome | ExistingExecution>;
  /** Bytes of one creator's waiting requests, for all machines together, of its schedules, and of its batches that are not over. */
  queuedBytes(p: { createdBy: string }): Promise<number>;
  getExecution(p: { machineId: string; executionId: string }): Promise<Execution | undefined>;
  /** Newest first. */
  listExecutions(p: { machineId: string; status?: ExecutionStatus } & PageRequest): Promise<Page<Execution>>;
  /** Over all machines, or those of `machineIds` and with all of `labels`; newest first. `since`: created then or later. */
  listAllExecutions(
    p: {
      machineIds?: readonly string[];
      labels?: readonly LabelSelector[];
      status?: ExecutionStatus;
      since?: number;
    } & PageRequest,
  ): Promise<Page<Execution>>;
  /** Executions that are terminals, newest first: those that run, and those that ended after `endedAfter`. */
  listTerminals(p: { machineId: string; endedAfter: number } & PageRequest): Promise<Page<Execution>>;
  requestCancel(
    p: { machineId: string; executionId: string; by: string; now: number } & OnBehalf,
  ): Promise<CancelOutcome>;
}

/** Consecutive bytes of one stream. */
export interface OutputChunk {
  stream: Stream;
  bytes: Buffer;
}

/** The output and the events of executions. */
export interface EventStore {
  /** Oldest first, after `afterSequence`. Stops early once the chunks together exceed `maxBytes` (always at least one event). */
  listEvents(p: {
    executionId: string;
    afterSequence: number;
    limit: number;
    maxBytes: number;
  }): Promise<ExecutionEvent[]>;
  /**
   * Bytes of a stream from `offset` (0-based) on: at most `maxBytes`, and at least one unless the kept bytes end at `offset`. Rejects with
   * OutputReleasedError.
   */
  readStream(p: {
    executionId: string;
    stream: 'stdout' | 'stderr';
    offset: number;
    maxBytes: number;
  }): Promise<Buffer>;
  /**
   * The next chunks of both streams from `offsets` (0-based) on, in the order in which the agent read them: at least one unless nothing
   * more is kept, and a bounded number. Rejects with OutputReleasedError.
   */
  readMerged(p: { executionId: string; offsets: Record<Stream, number> }): Promise<OutputChunk[]>;
}
