/** Stores the reports of agents. */
import type { ArtifactTerms } from '../../core/decisions/artifacts.ts';
import { applyReports } from '../../core/decisions/reports.ts';
import { isPassed, REPORT_KIND, type StoredReport } from '../../core/report.ts';
import type { ReportBatch, ReportResult } from '../roles/dispatch.ts';
import type { Transaction } from './transaction.ts';

/** Applies the reports of a batch to their executions. */
export function appendReports(tx: Transaction, p: ReportBatch): ReportResult[] {
  const { machineId, clockOffsetMs, now } = p;
  const { maxOutputBytes = Number.POSITIVE_INFINITY, streamBufferBytes = Number.POSITIVE_INFINITY } = p;
  const grouped = Map.groupBy(p.records, (report) => report.executionId);
  return Array.from(grouped, ([executionId, reports]): ReportResult => {
    const artifacts = artifactTerms(tx, p, reports);
    const terms = { now, clockOffsetMs, maxOutputBytes, streamBufferBytes, artifacts };
    const record = tx.execution(executionId);
    const { outcome, reported, change } = applyReports(record, { machineId, reports, terms });
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

const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** Returns the limits for artifacts. Reads the remaining quota only if the reports contain bytes of an artifact. */
function artifactTerms(tx: Transaction, p: ReportBatch, reports: readonly StoredReport[]): ArtifactTerms {
  const { now } = p;
  if (p.artifacts === undefined) return { now, maxBytes: 0, roomBytes: 0, expiresAt: now };
  const { maxBytes, quotaBytes, retentionMs } = p.artifacts;
  const asks = reports.some((report) => !isPassed(report) && report.kind === REPORT_KIND.artifact_data);
  const roomBytes = asks ? quotaBytes - tx.artifactBytes() : 0;
  return { now, maxBytes, roomBytes, expiresAt: retentionMs === 0 ? FOR_EVER : now + retentionMs };
}

/** Number of bytes that a batch is about to write. */
export function bytesOf({ records }: ReportBatch): number {
  return records.reduce((sum, report) => sum + (isPassed(report) ? 0 : report.payload.length), 0);
}
