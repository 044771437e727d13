/** SQL that selects complete, undeleted artifacts under the names of the shared row. More conditions may follow. */
export const ARTIFACT_COLUMNS = `a.id, a.public_id, m.public_id AS machine_public_id, a.execution_public_id,
  a.name, a.bytes, a.sha256, a.created_at, a.expires_at`;
export const SELECT_ARTIFACT = `SELECT ${ARTIFACT_COLUMNS} FROM artifacts a JOIN machines m ON m.id = a.machine_id
  WHERE a.sha256 IS NOT NULL AND a.deleted_at IS NULL`;
