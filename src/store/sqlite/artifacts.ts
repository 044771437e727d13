/** Lists, reads, deletes and expires artifacts. */
import type { ArtifactStore } from '../store.ts';
import { deleteArtifact, expireArtifacts } from '../transactions/artifacts.ts';
import { type ArtifactRow, toArtifact } from '../rows/artifact-row.ts';
import { SELECT_ARTIFACT } from './tables/artifact-table.ts';
import { toPage } from '../rows/page.ts';
import { type Context, read } from './tables/context.ts';

interface PieceRow {
  position: number;
  bytes: Buffer;
}

const MACHINE = '(SELECT id FROM machines WHERE public_id = ?)';
const NOTHING = Buffer.alloc(0);

/** The ArtifactStore of SQLite. */
export function artifactMethods({ db, write, tx }: Context): ArtifactStore {
  const ofMachine = db.prepare<[string, number, number], ArtifactRow>(
    `${SELECT_ARTIFACT} AND a.machine_id = ${MACHINE} AND a.id < ? ORDER BY a.id DESC LIMIT ?`,
  );
  const ofExecution = db.prepare<[string, string, number, number], ArtifactRow>(
    `${SELECT_ARTIFACT} AND a.execution_public_id = ? AND +a.machine_id = ${MACHINE} AND a.id < ? ORDER BY a.id DESC LIMIT ?`,
  );
  const key = db.prepare<[string], number>('SELECT id FROM artifacts WHERE public_id = ?').pluck();
  /** The piece that contains the byte at an offset, and the pieces after it. */
  const pieces = db.prepare<[number, number, number], PieceRow>(
    `SELECT position, bytes FROM artifact_pieces WHERE artifact_id = ? AND position >= coalesce(
       (SELECT max(position) FROM artifact_pieces WHERE artifact_id = ? AND position <= ?), 0) ORDER BY position`,
  );

  function readFrom({ artifactId, offset, maxBytes }: Parameters<ArtifactStore['readArtifact']>[0]): Buffer {
    const artifact = key.get(artifactId);
    if (artifact === undefined) return NOTHING;
    const parts: Buffer[] = [];
    let left = Math.max(1, maxBytes);
    for (const { position, bytes } of pieces.iterate(artifact, artifact, offset)) {
      const from = Math.max(0, offset - position);
      const part = bytes.subarray(from, from + left);
      parts.push(part);
      left -= part.length;
      if (left === 0) break;
    }
    return Buffer.concat(parts);
  }

  return {
    listArtifacts: ({ machineId, executionId, limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => {
        const rows =
          executionId === undefined
            ? ofMachine.iterate(machineId, after, limit + 1)
            : ofExecution.iterate(executionId, machineId, after, limit + 1);
        return toPage(rows, limit, (row) => row.id, toArtifact);
      }),
    getArtifact: ({ artifactId }) => read(() => tx.artifact(artifactId)),
    getDeletedArtifact: ({ artifactId }) => read(() => tx.deletedArtifact(artifactId)),
    readArtifact: (p) => read(() => readFrom(p)),
    deleteArtifact: (p) => write(() => deleteArtifact(tx, p)),
    expireArtifacts: (p) => write(() => expireArtifacts(tx, p)),
  };
}
