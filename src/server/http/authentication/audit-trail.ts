/** Writes the audit trail. Entries about executions are written after the answer, sharing a commit with other writes. */
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { AuditEntry, Store } from '../../../store/store.ts';
import { clientAddress } from './client-address.ts';
import { actorName, type Principal } from './key-ring.ts';

/** Time for which an entry may wait for another write to share a commit with, ms. */
const SHARE_WITHIN_MS = 100;

type Entry = Omit<AuditEntry, 'auditId'>;
type AuditDetails = Pick<Entry, 'action' | 'machineId' | 'resource' | 'command' | 'outcome'>;

export interface AuditTrail {
  /** Records an entry, which is written soon afterwards. */
  note(request: FastifyRequest, details: AuditDetails): void;
  /** Records an entry about a request that did not pass through the framework. */
  noteAs(origin: { actor: string; source: string }, details: AuditDetails): void;
  /** Writes an entry about administration. Settles when it is on disk. */
  write(request: FastifyRequest, details: AuditDetails): Promise<void>;
  /** Settles when all recorded entries are on disk, or were reported as lost. */
  flush(): Promise<void>;
}

function actorOf(principal: Principal | undefined): string {
  return principal === undefined ? 'anonymous' : actorName(principal);
}

/** Creates the audit trail on `store`. Lost entries are logged. */
export function createAuditTrail(p: {
  store: Pick<Store, 'appendAudit'>;
  now: () => number;
  logger: Pick<Logger, 'error'>;
}): AuditTrail {
  const writing = new Set<Promise<void>>();

  const entryOf = (request: FastifyRequest, details: AuditDetails): Entry => ({
    at: p.now(),
    actor: actorOf(request.principal),
    source: clientAddress(request),
    ...details,
  });

  const note = (entry: Entry): void => {
    const written = p.store
      .appendAudit({ entry, withinMs: SHARE_WITHIN_MS })
      .catch((error: unknown) =>
        p.logger.error(
          { err: error },
          'an entry of the audit trail could not be written and is lost: check the disk of the database',
        ),
      )
      .finally(() => writing.delete(written));
    writing.add(written);
  };

  return {
    note: (request, details) => note(entryOf(request, details)),
    noteAs: (origin, details) => note({ at: p.now(), ...origin, ...details }),
    write: (request, details) => p.store.appendAudit({ entry: entryOf(request, details) }),
    async flush() {
      await Promise.all(writing);
    },
  };
}
