/** Lists, reads, deletes and expires artifacts. */
import { type ArtifactRow, toArtifact } from '../rows/artifact-row.ts';
import { toPage } from '../rows/page.ts';
import type { Artifact, ArtifactStore } from '../store.ts';
import { deleteArtifact, expireArtifacts } from '../transactions/artifacts.ts';
import type { Context } from './context.ts';
import { ARTIFACT_COLUMNS, SELECT_ARTIFACT } from './statements/select-artifact.ts';
import { onBehalf } from './writers/needs.ts';

const FIND_DELETED = `SELECT ${ARTIFACT_COLUMNS} FROM artifacts a JOIN machines m ON m.id = a.machine_id
  WHERE a.deleted_at IS NOT NULL AND a.public_id = $1`;
/** The piece that contains the byte at an offset, and the pieces after it up to the last requested byte. */
const READ = `SELECT p.position, p.bytes FROM artifact_pieces p JOIN artifacts a ON a.id = p.artifact_id
  WHERE a.public_id = $1 AND p.position < $3 AND p.position >= coalesce(
    (SELECT max(q.position) FROM artifact_pieces q WHERE q.artifact_id = a.id AND q.position <= $2), 0) ORDER BY p.position`;
const NEWEST_FIRST = 'a.id < $2 ORDER BY a.id DESC LIMIT $3';
/** A subquery, which is computed first: in a join, the machine's artifacts may all be read and sorted. */
const LIST = `${SELECT_ARTIFACT} AND a.machine_id = (SELECT id FROM machines WHERE public_id = $1) AND ${NEWEST_FIRST}`;
const LIST_OF_EXECUTION = `${SELECT_ARTIFACT} AND m.public_id = $1 AND a.execution_public_id = $4 AND ${NEWEST_FIRST}`;
const FIND_EXPIRED = `SELECT a.public_id AS artifact, a.execution_public_id AS execution, m.public_id AS machine
  FROM artifacts a JOIN machines m ON m.id = a.machine_id
  WHERE a.sha256 IS NOT NULL AND a.deleted_at IS NULL AND a.expires_at <= $1 ORDER BY a.expires_at LIMIT $2`;

/** The ArtifactStore of PostgreSQL. */
export function artifactMethods({ read, writers }: Context): ArtifactStore {
  const findOne = async (text: string, artifactId: string): Promise<Artifact | undefined> => {
    const [row] = await read<ArtifactRow>({ text, values: [artifactId] });
    return row && toArtifact(row);
  };
  return {
    async listArtifacts({ machineId, executionId, limit, after = Number.MAX_SAFE_INTEGER }) {
      const values = [machineId, after, limit + 1];
      const rows = await read<ArtifactRow>(
        executionId === undefined
          ? { text: LIST, values }
          : { text: LIST_OF_EXECUTION, values: [...values, executionId] },
      );
      return toPage(rows, limit, (row) => row.id, toArtifact);
    },
    getArtifact: ({ artifactId }) => findOne(`${SELECT_ARTIFACT} AND a.public_id = $1`, artifactId),
    getDeletedArtifact: ({ artifactId }) => findOne(FIND_DELETED, artifactId),
    async readArtifact({ artifactId, offset, maxBytes }) {
      const byteLimit = Math.max(1, maxBytes);
      const values = [artifactId, offset, offset + byteLimit];
      const pieces = await read<{ position: number; bytes: Buffer }>({ name: 'read-artifact', text: READ, values });
      const parts = pieces.map(({ position, bytes }) => bytes.subarray(Math.max(0, offset - position)));
      return Buffer.concat(parts).subarray(0, byteLimit);
    },
    async deleteArtifact(p) {
      const text = 'SELECT execution_public_id AS execution FROM artifacts WHERE public_id = $1';
      const [found] = await read<{ execution: string }>({ text, values: [p.artifactId] });
      const executions = found === undefined ? [] : [found.execution];
      return writers.write(p.machineId, {
        needs: { machines: [p.machineId], executions, artifacts: [p.artifactId], ...onBehalf(p, p.artifactId) },
        run: (tx) => deleteArtifact(tx, p),
      });
    },
    async expireArtifacts(p) {
      const found = await read<{ artifact: string; execution: string; machine: string }>({
        text: FIND_EXPIRED,
        values: [p.now, p.limit],
      });
      return writers.write('', {
        needs: {
          machines: found.map(({ machine }) => machine),
          executions: found.map(({ execution }) => execution),
          artifacts: found.map(({ artifact }) => artifact),
        },
        run: (tx) => expireArtifacts(tx, p),
      });
    },
  };
}
