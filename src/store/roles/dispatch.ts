/** Use cases of agents: dispatching executions, storing reports, and ending executions that cannot run. */
import type { Execution } from '../../core/execution.ts';
import type { QueuePlace } from '../../core/decisions/reason.ts';
import type { StoredReport } from '../../core/report.ts';

/** The connection of a machine, with the epoch that `machineConnected` returned. A write for an earlier connection changes nothing. */
export interface Connection {
  runnerInstance: string;
  /** Rises per machine with each connection. */
  epoch: number;
}

/**
 * The result of a write that only the machine's present connection may make. `stale`: the machine has another connection or none; nothing
 * was written.
 */
export type Fenced<T> = ({ outcome: 'applied' } & T) | { outcome: 'stale' };

/** An execution on its way to an agent, with its sealed input. */
export interface Dispatch {
  execution: Execution;
  sealedInput?: Buffer;
}

/** The fields of every fenced use case. */
interface OfConnection {
  machineId: string;
  epoch: number;
  now: number;
}

export interface DispatchStore {
  /** Marks the oldest waiting executions (`queued`, not dispatched, not expired) as dispatched to this connection, at most `limit`. */
  claimQueued(p: OfConnection & { limit: number }): Promise<Fenced<{ dispatches: Dispatch[] }>>;
  /** All executions that are dispatched and not terminal, by rising dispatch number; with sealed input for those above `aboveNumber`. */
  listDispatched(p: { machineId: string; aboveNumber: number }): Promise<Dispatch[]>;
  /** The place of a waiting execution. Undefined if there is no such execution. */
  queuePlace(p: { machineId: string; executionId: string }): Promise<QueuePlace | undefined>;
  /** Ends those executions, whose start never arrived, that were cancelled or expired meanwhile. `ended`: those that it ended. */
  endUndelivered(p: OfConnection & { executionIds: readonly string[] }): Promise<Fenced<{ ended: Execution[] }>>;
  /** Ends executions as agent_lost. `ended` leaves out those that had ended before. */
  markLost(
    p: OfConnection & { executionIds: readonly string[]; reason: string },
  ): Promise<Fenced<{ ended: Execution[] }>>;
  /** Moves up to `limit` of the machine's wake_in_progress executions to queued, oldest first. */
  wakeWaiting(p: OfConnection & { limit: number }): Promise<Fenced<{ woken: Execution[] }>>;
}

/** Ends executions that are due. */
export interface DeadlineStore {
  /**
   * Ends up to `limit` waiting executions whose expires_at has passed, and returns them. More may be due if `nextExpiry` has passed after it.
   */
  expireDue(p: { now: number; limit: number }): Promise<Execution[]>;
  /** A time before which no waiting execution expires: the earliest expires_at, if none has ended its wait since. Undefined: none waits. */
  nextExpiry(): Promise<number | undefined>;
  /**
   * Ends as agent_lost up to `limit` dispatched executions of machines that are offline since `awaySince` or longer, and returns them.
   * The transaction that ends them checks that the machine is still offline.
   */
  markAbandonedLost(p: { awaySince: number; reason: string; now: number; limit: number }): Promise<Execution[]>;
}

export interface ArtifactLimits {
  /** Limit for each artifact. */
  maxBytes: number;
  /** Limit for all artifacts together. */
  quotaBytes: number;
  /** Time for which artifacts are kept, ms. 0: without end. */
  retentionMs: number;
}

export interface ReportBatch {
  machineId: string;
  /** Reports in the order of their arrival; of any executions of the machine. */
  records: readonly StoredReport[];
  /** Server clock minus agent clock, ms. */
  clockOffsetMs: number;
  now: number;
  /** Bytes kept of each stream, whatever the agent sends. Absent: no limit. */
  maxOutputBytes?: number;
  /** Unread bytes of a stream in stream mode. Absent: no limit. */
  streamBufferBytes?: number;
  /** Absent: no artifact is kept. */
  artifacts?: ArtifactLimits;
}

/** The result for the reports of one execution in a batch. */
export interface ReportResult {
  executionId: string;
  /**
   * applied: some reports were new; duplicate: all were known; terminal: the execution had ended, so the reports were dropped; gap: a number
   * was missing, and no report after it was accepted; foreign: the execution is not this machine's, or does not exist.
   */
  outcome: 'applied' | 'duplicate' | 'terminal' | 'gap' | 'foreign';
  /** All reports up to this number are on disk or not needed. */
  reported: number;
  /** The execution in its present state. Absent if foreign. */
  execution?: Execution;
  statusChanged: boolean;
}

export interface ReportStore {
  /** Writes new reports as events, once and in order, and moves the executions on. No epoch: the reports' numbers are the fence. */
  appendReports(p: ReportBatch): Promise<ReportResult[]>;
}
