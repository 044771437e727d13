/** Who did what: appended, never changed. */
import type { Page, PageRequest } from './pages.ts';

export interface AuditEntry {
  auditId: number;
  at: number;
  /** API key id, `admin`, or `agent:MACHINE_ID`. */
  actor: string;
  /** Address of the client. */
  source: string;
  /** As `execution.create`, `api_key.revoke`. */
  action: string;
  machineId?: string;
  /** The id of what was acted on. */
  resource?: string;
  /** The argv, cut where it is long. */
  command?: readonly string[];
  /** SHA-256, hex, of the whole argv as JSON: what was cut can still be recognised. */
  commandDigest?: string;
  outcome: string;
}

export interface AuditStore {
  /** Keeps of `command` what fits, and its digest. `withinMs`: how long it may wait for another write to share a commit with. */
  appendAudit(p: { entry: Omit<AuditEntry, 'auditId' | 'commandDigest'>; withinMs?: number }): Promise<void>;
  listAudit(p: { machineIds?: readonly string[] } & PageRequest): Promise<Page<AuditEntry>>;
}
