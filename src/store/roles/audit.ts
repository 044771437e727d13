/** The audit trail: entries are appended and never changed. They are deleted once they were exported and released, or are old. */
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
   * Appends an entry, with a shortened `command` and its digest. `withinMs`: time for which it may wait to share a commit with another
   * write. Entries keep the order of the calls.
   */
  appendAudit(p: { entry: Omit<AuditEntry, 'auditId' | 'commandDigest'>; withinMs?: number }): Promise<void>;
  listAudit(p: { machineIds?: readonly string[] } & PageRequest): Promise<Page<AuditEntry>>;
  /** The entries after `after`, oldest first. */
  exportAudit(p: { machineIds?: readonly string[]; after: number; limit: number }): Promise<AuditEntry[]>;
  /** Records that an export has sent all entries up to `through`. */
  noteAuditExported(p: { through: number }): Promise<void>;
  /** Records that the entries up to `through` are stored elsewhere and may be deleted. Only exported entries can be released. */
  releaseAudit(p: { through: number }): Promise<'released' | 'not_exported'>;
  /**
   * Deletes up to `limit` of the oldest entries that were released, or are older than `before` (ms; 0: none). The newest entry stays, so
   * that no number is given out twice. Returns how many.
   */
  deleteAudit(p: { before: number; limit: number }): Promise<number>;
}
