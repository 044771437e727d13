/** Deletes artifacts, for callers and when they expire. */
import { removeArtifact } from '../../core/decisions/artifacts.ts';
import { ExecutionDraft } from '../../core/decisions/execution-draft.ts';
import type { Artifact, ArtifactStore } from '../roles/artifacts.ts';
import { refusalOf } from './retries.ts';
import type { Transaction } from './transaction.ts';

/** Time for which a deleted artifact can still be described, ms: as long as an Idempotency-Key is kept, for retries of the deletion. */
const DESCRIPTION_KEPT_MS = 24 * 60 * 60 * 1000;

/** Deletes an artifact for a caller, or returns the replay of its Idempotency-Key. */
export function deleteArtifact(
  tx: Transaction,
  p: Parameters<ArtifactStore['deleteArtifact']>[0],
): Awaited<ReturnType<ArtifactStore['deleteArtifact']>> {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const artifact = tx.artifact(p.artifactId);
  if (artifact?.machineId !== p.machineId) return { outcome: 'not_found' };
  tx.removeArtifact(p.artifactId, p.now);
  forgetEntry(tx, artifact);
  tx.bind(p.idempotency, p.artifactId);
  return { outcome: 'deleted', artifact };
}

/** Deletes expired artifacts. Returns how many. */
export function expireArtifacts(tx: Transaction, p: Parameters<ArtifactStore['expireArtifacts']>[0]): number {
  const expired = tx.expiredArtifacts(p);
  for (const artifact of expired) {
    tx.dropArtifact(artifact.artifactId);
    forgetEntry(tx, artifact);
  }
  tx.forgetDeletedArtifacts(p.now - DESCRIPTION_KEPT_MS);
  return expired.length;
}

/** Removes an artifact from the list of its execution. */
function forgetEntry(tx: Transaction, { artifactId, executionId }: Artifact): void {
  const record = tx.execution(executionId);
  if (record === undefined) return;
  const draft = new ExecutionDraft(record);
  removeArtifact(draft, artifactId);
  tx.save(draft.change());
}
