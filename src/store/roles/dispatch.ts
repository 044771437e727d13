/** Executions, the agent's side: handing them out, taking reports, and ending those that cannot run. */
import type { Execution } from '../../core/execution.ts';
import type { RawRecord } from '../../core/report.ts';

/** The connection that a machine has: `machineConnected` gave its epoch. What belongs to an earlier one changes nothing. */
export interface Connection {
  runnerInstance: string;
  /** Rises per machine with each connection. */
  epoch: number;
}

/** What only the machine's present connection may do. `stale`: it is no longer that one, so nothing was written. */
export type Fenced<T> = ({ outcome: 'applied' } & T) | { outcome: 'stale' };

/** An execution on its way to an agent, with its sealed input. */
export interface Dispatch {
  execution: Execution;
  sealedInput?: Buffer;
}

/** What every fenced use case says of itself. */
interface OfConnection {
  machineId: string;
  epoch: number;
  now: number;
}

export interface DispatchStore {
  /** Marks the oldest waiting ones (`queued`, not dispatched, not expired) as dispatched to this connection, at most `limit`. */
  claimQueued(p: OfConnection & { limit: number }): Promise<Fenced<{ dispatches: Dispatch[] }>>;
  /** All that is dispatched and not terminal, by rising dispatch number; with sealed input for those above `aboveNumber`. */
  listDispatched(p: { machineId: string; aboveNumber: number }): Promise<Dispatch[]>;
  /** For those whose start never arrived: ended if cancelled or expired meanwhile, else untouched. `ended`: those that ended. */
  endUndelivered(p: OfConnection & { executionIds: readonly string[] }): Promise<Fenced<{ ended: Execution[] }>>;
  /** Ends them as agent_lost; those already terminal are left out of `ended`. */
  markLost(
    p: OfConnection & { executionIds: readonly string[]; reason: string },
  ): Promise<Fenced<{ ended: Execution[] }>>;
  /** Moves up to `limit` of the machine's wake_in_progress ones to queued, oldest first. */
  wakeWaiting(p: OfConnection & { limit: number }): Promise<Fenced<{ woken: Execution[] }>>;
}

/** What ends because its time is over. */
export interface DeadlineStore {
  /** Ends up to `limit` waiting ones whose expires_at has passed; returns them. */
  expireDue(p: { now: number; limit: number }): Promise<Execution[]>;
  /** The earliest expires_at of anything that waits undispatched; undefined when nothing waits. */
  nextExpiry(): Promise<number | undefined>;
  /**
   * Ends as agent_lost up to `limit` dispatched executions of machines that are away since `awaySince` or longer; returns them. That
   * the machine is still away is checked in the transaction that ends them.
   */
  markAbandonedLost(p: { awaySince: number; reason: string; now: number; limit: number }): Promise<Execution[]>;
}

export interface ArtifactLimits {
  /** Of each artifact. */
  maxBytes: number;
  /** Of all of them together. */
  quotaBytes: number;
  /** How long they are kept; 0: for ever. */
  retentionMs: number;
}

export interface ReportBatch {
  machineId: string;
  /** Reports in the order in which they came in; of any executions of the machine. */
  records: readonly RawRecord[];
  /** Server clock minus agent clock, ms. */
  clockOffsetMs: number;
  now: number;
  /** Bytes kept of each stream, whatever the agent sends; no limit unless given. */
  maxOutputBytes?: number;
  /** Bytes of a stream that may wait to be read, in stream mode; no limit unless given. */
  streamBufferBytes?: number;
  /** Absent: no artifact is kept. */
  artifacts?: ArtifactLimits;
}

/** What became of an execution's reports in a batch. */
export interface ReportResult {
  executionId: string;
  /**
   * applied: some of it was new; duplicate: all of it was known; terminal: it had ended before, so the reports were dropped;
   * gap: a number was missing, nothing from there on was taken; foreign: it is not this machine's, or does not exist.
   */
  outcome: 'applied' | 'duplicate' | 'terminal' | 'gap' | 'foreign';
  /** All reports up to here are on disk (or will never be wanted). */
  reported: number;
  /** The execution as it is now; absent when foreign. */
  execution?: Execution;
  statusChanged: boolean;
}

export interface ReportStore {
  /** Writes new reports as events, once and in order, and moves the executions on. No epoch: the reports' numbers are the fence. */
  appendReports(p: ReportBatch): Promise<ReportResult[]>;
}
