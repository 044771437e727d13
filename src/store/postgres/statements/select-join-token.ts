/** SQL that selects join tokens under the names of the shared rows. Append a WHERE clause. */
export const SELECT_JOIN_TOKEN = `SELECT id, public_id, token_hash, machine_public_id, reusable::int AS reusable, created_at, expires_at,
  used_at, revoked_at FROM join_tokens`;
