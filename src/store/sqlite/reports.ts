/** What agents report: written once and in order, as events and as steps of the executions. */
import { isTerminal } from '../../core/execution.ts';
import { MAX_CHUNK_BYTES, type RawRecord } from '../../core/report.ts';
import { meaningOf, type Produced } from '../../core/decisions/report-meaning.ts';
import type { Execution, ReportBatch, ReportResult, Store } from '../store.ts';
import type { Context } from './context.ts';
import type { EventLog, Stream } from './event-log.ts';
import type { ExecutionRecord } from './execution-row.ts';
import type { ExecutionTable } from './execution-table.ts';

/** Clocks of a batch: the server's, and how far the agent's is behind it, ms. */
interface Clock {
  now: number;
  offsetMs: number;
}

/** The reports of agents. */
export function reportMethods({ write, log, executions }: Context): Pick<Store, 'appendReports'> {
  const intake = new ReportIntake(log, executions);
  return {
    appendReports: ({ machineId, records, clockOffsetMs, now }: ReportBatch) => {
      const clock = { now, offsetMs: clockOffsetMs };
      const grouped = Map.groupBy(records, (report) => report.executionId);
      const bytes = records.reduce((sum, report) => sum + report.payload.length, 0);
      return write(
        () => Array.from(grouped, ([executionId, reports]) => intake.take(machineId, executionId, reports, clock)),
        bytes,
      );
    },
  };
}

class ReportIntake {
  private readonly log: EventLog;
  private readonly executions: ExecutionTable;

  constructor(log: EventLog, executions: ExecutionTable) {
    this.log = log;
    this.executions = executions;
  }

  /** Takes the reports on one execution. */
  take(machineId: string, executionId: string, reports: readonly RawRecord[], clock: Clock): ReportResult {
    const record = this.executions.find(executionId);
    if (record === undefined || !concerns(machineId, record.execution)) {
      return { executionId, outcome: 'foreign', reported: 0, statusChanged: false };
    }
    const { status, reported: known } = record.execution;
    const highest = reports.reduce((number, report) => Math.max(number, report.number), known);
    if (isTerminal(status)) {
      const { execution } = record;
      return { executionId, outcome: 'terminal', reported: highest, execution, statusChanged: false };
    }
    const complete = this.takeInOrder(record, reports, clock);
    const { execution } = record;
    if (isTerminal(execution.status)) execution.reported = highest;
    const applied = execution.reported > known;
    if (applied) this.executions.save(record);
    return {
      executionId,
      outcome: complete ? (applied ? 'applied' : 'duplicate') : 'gap',
      reported: execution.reported,
      execution,
      statusChanged: execution.status !== status,
    };
  }

  /** False when a number was missing: nothing from there on was taken. What follows the end is not wanted, hence no gap. */
  private takeInOrder(record: ExecutionRecord, reports: readonly RawRecord[], clock: Clock): boolean {
    for (const report of reports) {
      if (isTerminal(record.execution.status)) return true;
      if (report.number <= record.execution.reported) continue;
      if (report.number > record.execution.reported + 1) return false;
      this.takeOne(record, report, clock);
      record.execution.reported = report.number;
    }
    return true;
  }

  private takeOne(record: ExecutionRecord, report: RawRecord, clock: Clock): void {
    const at = eventTime(record.lastEventAt, report.at, clock);
    const meaning = meaningOf(report);
    switch (meaning.type) {
      case 'started':
        this.executions.apply(record, { type: 'started' }, clock.now, at);
        return;
      case 'output':
        this.appendOutput(record, meaning.stream, report.payload, at);
        return;
      case 'progress':
        count(record, 'stdout', meaning.stdout, MAX_CHUNK_BYTES);
        count(record, 'stderr', meaning.stderr, MAX_CHUNK_BYTES);
        return;
      case 'ended':
        count(record, 'stdout', meaning.stdout, 0);
        count(record, 'stderr', meaning.stderr, 0);
        this.executions.apply(record, { type: 'ended', outcome: meaning.outcome }, clock.now, at);
        return;
      case 'ignored':
        return;
    }
  }

  private appendOutput(record: ExecutionRecord, stream: Stream, chunk: Buffer, at: number): void {
    if (chunk.length === 0) return;
    const { execution, kept } = record;
    execution.lastSequence += 1;
    record.lastEventAt = at;
    this.log.appendChunk({
      key: record.key,
      sequence: execution.lastSequence,
      at,
      stream,
      offset: kept[stream],
      chunk,
    });
    kept[stream] += chunk.length;
    execution[stream] = { ...execution[stream], bytes: Math.max(execution[stream].bytes, kept[stream]) };
  }
}

/** What is not dispatched and alive cannot have been reported on, whoever says so. */
function concerns(machineId: string, execution: Execution): boolean {
  return execution.machineId === machineId && (execution.dispatchedTo !== undefined || isTerminal(execution.status));
}

/**
 * Raises a stream's count. Bytes of which no chunk is here were not kept, but for up to `underWay` that the agent may still hold
 * back (it reports progress before it has sent the last of the other stream).
 */
function count(record: ExecutionRecord, stream: Stream, produced: Produced, underWay: number): void {
  const bytes = Math.max(record.execution[stream].bytes, produced.bytes);
  const missing = bytes - record.kept[stream];
  record.execution[stream] = {
    bytes,
    truncated: record.execution[stream].truncated || produced.truncated || missing > underWay,
  };
}

/** When the agent saw it, by the server's clock: never before the event before, never in the future. */
function eventTime(lastEventAt: number, reportedAt: number, { now, offsetMs }: Clock): number {
  const at = Math.floor(reportedAt + offsetMs);
  return Math.max(lastEventAt, Number.isFinite(at) ? Math.min(at, now) : now);
}
