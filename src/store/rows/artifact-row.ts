/** Converts between an artifact and its row. */
import type { Artifact } from '../store.ts';

export interface ArtifactRow {
  id: number;
  public_id: string;
  machine_public_id: string;
  execution_public_id: string;
  name: string;
  bytes: number;
  sha256: string;
  created_at: number;
  expires_at: number;
}

/** Returns the artifact of a row. */
export function toArtifact(row: ArtifactRow): Artifact {
  return {
    artifactId: row.public_id,
    machineId: row.machine_public_id,
    executionId: row.execution_public_id,
    name: row.name,
    bytes: row.bytes,
    sha256: row.sha256,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
