/** Converts between a join token and its row. */
import type { JoinToken } from '../store.ts';

export interface JoinTokenRow {
  id: number;
  public_id: string;
  machine_public_id: string | null;
  reusable: number;
  created_at: number;
  expires_at: number;
  used_at: number | null;
  revoked_at: number | null;
}

/** Returns the token of a row. */
export function toJoinToken(row: JoinTokenRow): JoinToken {
  return {
    joinTokenId: row.public_id,
    ...(row.machine_public_id === null ? {} : { machineId: row.machine_public_id }),
    reusable: row.reusable === 1,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
