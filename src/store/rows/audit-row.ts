/** Converts between an audit entry and its row. */
import type { AuditEntry } from '../store.ts';
import { JSON_COLUMN } from './json-columns.ts';

export interface AuditRow {
  id: number;
  at: number;
  actor: string;
  source: string;
  action: string;
  machine_public_id: string | null;
  resource: string | null;
  command: string | null;
  command_digest: string | null;
  outcome: string;
}

/** Returns the entry of a row. */
export function toEntry(row: AuditRow): AuditEntry {
  return {
    auditId: row.id,
    at: row.at,
    actor: row.actor,
    source: row.source,
    action: row.action,
    ...(row.machine_public_id === null ? {} : { machineId: row.machine_public_id }),
    ...(row.resource === null ? {} : { resource: row.resource }),
    ...(row.command === null ? {} : { command: JSON_COLUMN.strings('command', row.command) }),
    ...(row.command_digest === null ? {} : { commandDigest: row.command_digest }),
    outcome: row.outcome,
  };
}
