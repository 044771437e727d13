/** Writes the artifacts of a batch of writes, in the order of the decisions. */
import type { ArtifactStep } from '../../../core/decisions/artifacts.ts';
import type { ArtifactWrite, BatchArtifacts } from './batch-artifacts.ts';
import type { Statement } from '../connections/statement-group.ts';

const BEGIN = `INSERT INTO artifacts (public_id, machine_id, execution_public_id, name, created_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6)`;
const PIECE = `WITH of AS (UPDATE artifacts SET bytes = bytes + octet_length($3::bytea) WHERE public_id = $1 RETURNING id)
  INSERT INTO artifact_pieces (artifact_id, position, bytes) SELECT id, $2::bigint, $3::bytea FROM of`;
const STORE = 'UPDATE artifacts SET sha256 = $2, created_at = $3 WHERE public_id = $1';
const DROP = 'DELETE FROM artifacts WHERE public_id = $1';
const REMOVE = `WITH of AS (UPDATE artifacts SET deleted_at = $2 WHERE public_id = $1 RETURNING id)
  DELETE FROM artifact_pieces WHERE artifact_id IN (SELECT id FROM of)`;
const FORGET = 'DELETE FROM artifacts WHERE deleted_at < $1';

/** Returns the statements that write the artifacts of a batch. */
export function artifactStatements({ writes }: BatchArtifacts): Statement[] {
  return writes.map(statementOf);
}

function statementOf(write: ArtifactWrite): Statement {
  if ('remove' in write) return { text: REMOVE, values: [write.remove, write.at] };
  if ('drop' in write) return { text: DROP, values: [write.drop] };
  if ('forgetBefore' in write) return { text: FORGET, values: [write.forgetBefore] };
  return stepStatement(write.step, write);
}

function stepStatement(step: ArtifactStep, of: { machineKey: number; executionId: string }): Statement {
  const { artifactId } = step;
  switch (step.type) {
    case 'begin':
      return { text: BEGIN, values: [artifactId, of.machineKey, of.executionId, step.name, step.at, step.expiresAt] };
    case 'piece':
      return { name: 'artifact-piece', text: PIECE, values: [artifactId, step.position, step.bytes] };
    case 'store':
      return { text: STORE, values: [artifactId, step.sha256, step.at] };
    case 'drop':
      return { text: DROP, values: [artifactId] };
  }
}
