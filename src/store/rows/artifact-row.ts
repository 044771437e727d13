/** An artifact between its row and the domain. */
import type { Artifact } from '../store.ts';

export interface ArtifactRow {
  artifact: number;
  artifact_id: string;
  machine_id: string;
  execution_id: string;
  name: string;
  bytes: number;
  sha256: string;
  created_at: number;
  expires_at: number;
}

/** The artifact that a row stands for. */
export function toArtifact(row: ArtifactRow): Artifact {
  return {
    artifactId: row.artifact_id,
    machineId: row.machine_id,
    executionId: row.execution_id,
    name: row.name,
    bytes: row.bytes,
    sha256: row.sha256,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
