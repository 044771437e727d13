/** What agents report. */
import type { Execution } from '../../core/execution.ts';
import type { RawRecord } from '../../core/report.ts';

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
