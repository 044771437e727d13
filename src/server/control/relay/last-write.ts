/** The last write for a session that is closed. */
import type { ReportBatch, Store } from '../../../store/store.ts';
import type { CommitListener } from '../live/commit-notifier.ts';

/**
 * Stores output that only this server and the agent have: if the machine is lost, this keeps what its readers may have had. One attempt: the
 * agent, if it lives, sends it again.
 */
export async function storeLast(
  { store, commits }: { store: Pick<Store, 'appendReports'>; commits: CommitListener },
  batch: ReportBatch,
): Promise<void> {
  const results = await store.appendReports(batch).catch(() => []);
  for (const { outcome, execution } of results)
    if (outcome === 'applied' && execution !== undefined) commits.committed(execution);
}
