/** What agents report. */
import { takeReports } from '../../core/decisions/reports.ts';
import type { ReportBatch, ReportResult } from '../roles/reports.ts';
import type { Transaction } from './transaction.ts';

export function appendReports(tx: Transaction, p: ReportBatch): ReportResult[] {
  const { machineId, clockOffsetMs, now } = p;
  const { maxOutputBytes = Number.POSITIVE_INFINITY, streamBufferBytes = Number.POSITIVE_INFINITY } = p;
  const terms = { now, clockOffsetMs, maxOutputBytes, streamBufferBytes };
  const grouped = Map.groupBy(p.records, (report) => report.executionId);
  return Array.from(grouped, ([executionId, reports]): ReportResult => {
    const record = tx.execution(executionId);
    const { outcome, reported, change } = takeReports(record, { machineId, reports, terms });
    if (change !== undefined) tx.save(change);
    const execution = outcome === 'foreign' ? undefined : (change?.after ?? record)?.execution;
    return {
      executionId,
      outcome,
      reported,
      ...(execution !== undefined && { execution }),
      statusChanged: execution !== undefined && execution.status !== record?.execution.status,
    };
  });
}

/** Bytes that a batch is about to write. */
export function bytesOf({ records }: ReportBatch): number {
  return records.reduce((sum, report) => sum + report.payload.length, 0);
}
