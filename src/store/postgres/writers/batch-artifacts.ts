/** The artifacts of a batch of writes: the loaded rows, and the changes of its use cases, in order. */
import type { ArtifactStep } from '../../../core/decisions/artifacts.ts';
import type { Artifact } from '../../store.ts';

export type ArtifactWrite =
  | { step: ArtifactStep; machineKey: number; executionId: string }
  | { remove: string; at: number }
  | { drop: string }
  | { forgetBefore: number };

export interface LoadedArtifacts {
  artifacts: readonly Artifact[];
  totalBytes: number;
}

/** The artifacts of a batch of use cases. */
export class BatchArtifacts {
  readonly writes: ArtifactWrite[] = [];
  readonly #artifacts: Map<string, Artifact>;
  #totalBytes: number;

  constructor({ artifacts, totalBytes }: LoadedArtifacts) {
    this.#artifacts = new Map(artifacts.map((artifact) => [artifact.artifactId, artifact]));
    this.#totalBytes = totalBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  apply(of: { machineKey: number; executionId: string }, steps: readonly ArtifactStep[]): void {
    for (const step of steps) {
      this.writes.push({ step, ...of });
      if (step.type === 'piece') this.#totalBytes += step.bytes.length;
    }
  }

  find(artifactId: string): Artifact | undefined {
    return this.#artifacts.get(artifactId);
  }

  expired(now: number, limit: number): Artifact[] {
    return [...this.#artifacts.values()].filter(({ expiresAt }) => expiresAt <= now).slice(0, limit);
  }

  drop(artifactId: string): void {
    this.#artifacts.delete(artifactId);
    this.writes.push({ drop: artifactId });
  }

  remove(artifactId: string, at: number): void {
    this.#artifacts.delete(artifactId);
    this.writes.push({ remove: artifactId, at });
  }

  forgetDeleted(before: number): void {
    this.writes.push({ forgetBefore: before });
  }
}
