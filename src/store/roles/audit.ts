/** The audit trail: appended, never changed. Entries go once they were exported and released, or are old. */
import type { Page, PageRequest } from './pages.ts';

export interface AuditEntry {
  auditId: number;
  at: number;
  /** API key id, `admin`, or `agent:MACHINE_ID`. */
  actor: string;
  /** Address of the client. */
  source: string;
  /** Such as `execution.create`, `api_key.revoke`. */
  action: string;
  machineId?: string;
  /** The id of the resource that the action changed. */
  resource?: string;
  /** The argv, cut if it is long. */
  command?: readonly string[];
  /** SHA-256, hex, of the whole argv as JSON: it identifies a cut argv. */
  commandDigest?: string;
  outcome: string;
}

export interface AuditStore {
  /**
   * Keeps the part of `command` that fits, and its digest. `withinMs`: time for which it may wait for another write to share a commit
   * with. Entries keep the order in which they were given.
   */
  appendAudit(p: { entry: Omit<AuditEntry, 'auditId' | 'commandDigest'>; withinMs?: number }): Promise<void>;
  listAudit(p: { machineIds?: readonly string[] } & PageRequest): Promise<Page<AuditEntry>>;
  /** The entries after `after`, oldest first. */
  exportAudit(p: { machineIds?: readonly string[]; after: number; limit: number }): Promise<AuditEntry[]>;
  /** An export has sent all entries up to this one. */
  noteAuditExported(p: { through: number }): Promise<void>;
  /** The entries up to this one are stored elsewhere: they may be deleted. Only those that were exported. */
  releaseAudit(p: { through: number }): Promise<'released' | 'not_exported'>;
  /**
   * Deletes up to `limit` of the oldest entries that were released, or are older than `before` (ms; 0: none). The newest entry stays, so
   * that no number is given out twice. Returns how many.
   */
  deleteAudit(p: { before: number; limit: number }): Promise<number>;
}
