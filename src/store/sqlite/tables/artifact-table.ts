/** The tables of artifacts and their pieces. */
import type { ArtifactStep } from '../../../core/decisions/artifacts.ts';
import { type ArtifactRow, toArtifact } from '../../rows/artifact-row.ts';
import type { Artifact } from '../../store.ts';
import type { Database } from '../file/database.ts';

export const SELECT_ARTIFACT = `SELECT a.*, m.public_id AS machine_public_id FROM artifacts a CROSS JOIN machines m ON m.id = a.machine_id
  WHERE a.sha256 IS NOT NULL AND a.deleted_at IS NULL`;

/** The statements, made once. */
function prepare(db: Database) {
  return {
    begin: db.prepare(
      `INSERT INTO artifacts (public_id, machine_id, execution_public_id, name, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
    ),
    piece: db.prepare(
      `INSERT INTO artifact_pieces (artifact_id, position, bytes)
       SELECT id, ?, ? FROM artifacts WHERE public_id = ?`,
    ),
    count: db.prepare('UPDATE artifacts SET bytes = bytes + ? WHERE public_id = ?'),
    store: db.prepare('UPDATE artifacts SET sha256 = ?, created_at = ? WHERE public_id = ?'),
    purge: db.prepare(
      'INSERT OR IGNORE INTO artifact_purge (artifact_id) SELECT id FROM artifacts WHERE public_id = ?',
    ),
    drop: db.prepare('DELETE FROM artifacts WHERE public_id = ?'),
    remove: db.prepare('UPDATE artifacts SET deleted_at = ? WHERE public_id = ?'),
    deleted: db.prepare<[string], ArtifactRow>(
      `SELECT a.*, m.public_id AS machine_public_id FROM artifacts a CROSS JOIN machines m ON m.id = a.machine_id
       WHERE a.deleted_at IS NOT NULL AND a.public_id = ?`,
    ),
    forget: db.prepare('DELETE FROM artifacts WHERE deleted_at < ?'),
    find: db.prepare<[string], ArtifactRow>(`${SELECT_ARTIFACT} AND a.public_id = ?`),
    expired: db.prepare<[number, number], ArtifactRow>(
      `${SELECT_ARTIFACT} AND a.expires_at <= ? ORDER BY a.expires_at LIMIT ?`,
    ),
    total: db.prepare<[], number>('SELECT bytes FROM artifact_total WHERE one = 1').pluck(),
    addToTotal: db.prepare('UPDATE artifact_total SET bytes = bytes + ? WHERE one = 1'),
    takeFromTotal: db.prepare(
      `UPDATE artifact_total SET bytes = bytes - coalesce(
         (SELECT bytes FROM artifacts WHERE public_id = ? AND deleted_at IS NULL), 0) WHERE one = 1`,
    ),
  };
}

/** The tables of artifacts. Its methods run inside a write. */
export class ArtifactTable {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.#statements = prepare(db);
  }

  /** Writes the decision on the artifacts of an execution. */
  apply(p: { machineKey: number; executionId: string }, steps: readonly ArtifactStep[]): void {
    const { begin, piece, count, store, addToTotal } = this.#statements;
    for (const step of steps) {
      const { artifactId } = step;
      if (step.type === 'begin') begin.run(artifactId, p.machineKey, p.executionId, step.name, step.at, step.expiresAt);
      else if (step.type === 'piece') {
        piece.run(step.position, step.bytes, artifactId);
        count.run(step.bytes.length, artifactId);
        addToTotal.run(step.bytes.length);
      } else if (step.type === 'store') store.run(step.sha256, step.at, artifactId);
      else this.drop(artifactId);
    }
  }

  find(artifactId: string): Artifact | undefined {
    const row = this.#statements.find.get(artifactId);
    return row && toArtifact(row);
  }

  expired(now: number, limit: number): Artifact[] {
    return this.#statements.expired.all(now, limit).map(toArtifact);
  }

  /** Returns an artifact that a caller has deleted recently. */
  findDeleted(artifactId: string): Artifact | undefined {
    const row = this.#statements.deleted.get(artifactId);
    return row && toArtifact(row);
  }

  /** Marks an artifact as deleted at `at`, and its pieces for the purge. */
  remove(artifactId: string, at: number): void {
    this.#statements.takeFromTotal.run(artifactId);
    this.#statements.purge.run(artifactId);
    this.#statements.remove.run(at, artifactId);
  }

  /** Removes the rows of artifacts that were deleted before `before`. */
  forgetDeleted(before: number): void {
    this.#statements.forget.run(before);
  }

  /** Deletes the row of an artifact. Its pieces stay until they are purged. */
  drop(artifactId: string): void {
    this.#statements.takeFromTotal.run(artifactId);
    this.#statements.purge.run(artifactId);
    this.#statements.drop.run(artifactId);
  }

  /** Bytes of all artifacts, incomplete ones included. */
  totalBytes(): number {
    return this.#statements.total.get() ?? 0;
  }
}
