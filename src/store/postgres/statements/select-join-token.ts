/** SQL that selects and locks join tokens. */

/** Selects under the names of the shared rows. Append a WHERE clause. */
export const SELECT_JOIN_TOKEN = `SELECT id, public_id, token_hash, machine_public_id, reusable::int AS reusable, created_at, expires_at,
  used_at, revoked_at FROM join_tokens`;

/** The key of the lock of a reusable token: enrolments share it, a revocation has it alone. Those that wait get it in the order in which they ask. */
export const REUSABLE_TOKEN_LOCK = "hashtextextended('join token ' || id, 0)";
