/** Artifacts: files that commands left, kept until they expire. */
import type { ActorRevoked, OnBehalf, Replay } from './idempotency.ts';
import type { Page, PageRequest } from './pages.ts';

/** A complete artifact. An incomplete one is not visible. Times are ms since the epoch. */
export interface Artifact {
  artifactId: string;
  machineId: string;
  executionId: string;
  name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  createdAt: number;
  expiresAt: number;
}

export interface ArtifactStore {
  /** Newest first. */
  listArtifacts(p: { machineId: string; executionId?: string } & PageRequest): Promise<Page<Artifact>>;
  getArtifact(p: { artifactId: string }): Promise<Artifact | undefined>;
  /** An artifact that was deleted within the last day: for the answer to a retry. */
  getDeletedArtifact(p: { artifactId: string }): Promise<Artifact | undefined>;
  /** Bytes from `offset` on, at most `maxBytes`, and at least one byte unless the artifact ends there. */
  readArtifact(p: { artifactId: string; offset: number; maxBytes: number }): Promise<Buffer>;
  /** Removes it at once for all readers. `maintain` frees its space. */
  deleteArtifact(
    p: { machineId: string; artifactId: string; now: number } & OnBehalf,
  ): Promise<{ outcome: 'deleted'; artifact: Artifact } | { outcome: 'not_found' } | Replay | ActorRevoked>;
  /** Deletes up to `limit` expired artifacts. Returns how many. */
  expireArtifacts(p: { now: number; limit: number }): Promise<number>;
}
