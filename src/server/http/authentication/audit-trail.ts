/** The audit trail: who did what. Entries about executions are written in batches, off the path of the answer. */
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { AuditEntry, Store } from '../../../store/store.ts';
import { clientAddress } from './client-address.ts';

/** How long an entry may wait for company, in ms. */
const GATHER_MS = 100;
/** So many are written at once, without waiting for more. */
const BATCH = 256;

type Entry = Omit<AuditEntry, 'auditId'>;
type AuditDetails = Pick<Entry, 'action' | 'machineId' | 'resource' | 'command' | 'outcome'>;

export interface AuditTrail {
  /** Remembers an entry, to be written within a moment. */
  note(request: FastifyRequest, details: AuditDetails): void;
  /** Writes an entry; settles when it is on disk. For administration. */
  write(request: FastifyRequest, details: AuditDetails): Promise<void>;
  /** Settles when all that was noted is on disk, or was reported as lost. */
  flush(): Promise<void>;
}

export function createAuditTrail(p: {
  store: Pick<Store, 'appendAudit'>;
  now: () => number;
  logger: Pick<Logger, 'error'>;
}): AuditTrail {
  let gathered: Entry[] = [];
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const entryOf = (request: FastifyRequest, details: AuditDetails): Entry => ({
    at: p.now(),
    actor: request.principal?.apiKeyId ?? 'anonymous',
    source: clientAddress(request),
    ...details,
  });
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (gathered.length === 0) return writing;
    const batch = gathered;
    gathered = [];
    writing = Promise.all([writing, writeAll(batch)]).then(() => undefined);
    return writing;
  };
  const writeAll = async (batch: readonly Entry[]): Promise<void> => {
    const results = await Promise.allSettled(batch.map((entry) => p.store.appendAudit({ entry })));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) p.logger.error({ err: failed.reason }, 'audit entries were lost');
  };

  return {
    note(request, details) {
      gathered.push(entryOf(request, details));
      if (gathered.length >= BATCH) void flush();
      else timer ??= setTimeout(() => void flush(), GATHER_MS).unref();
    },
    write: (request, details) => p.store.appendAudit({ entry: entryOf(request, details) }),
    flush,
  };
}
