/** Converts between an API key and its row. */
import type { ApiKey } from '../store.ts';
import { JSON_COLUMN } from './json-columns.ts';

export interface ApiKeyRow {
  id: number;
  public_id: string;
  name: string;
  user_name: string | null;
  scopes: string;
  machine_ids: string | null;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
}

/** Returns the key of a row. */
export function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    apiKeyId: row.public_id,
    name: row.name,
    ...(row.user_name === null ? {} : { user: row.user_name }),
    scopes: JSON_COLUMN.strings('scopes', row.scopes),
    ...(row.machine_ids === null ? {} : { machineIds: JSON_COLUMN.strings('machine_ids', row.machine_ids) }),
    createdAt: row.created_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
  };
}
