/** Deletes entries of the audit trail that were exported and released, or are older than a setting, in small steps. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LOG_KEY } from '../../node/log-keys.ts';
import type { Store } from '../../store/store.ts';
import { Poll } from '../poll.ts';

const ROUND_MS = 30_000;
const DAY_MS = 86_400_000;
/** Number of entries in one transaction: few, so that a create does not wait long for it. */
const STEP = 500;
/** Delay between two steps, ms, in which waiting requests are served. */
const PAUSE_MS = 20;

interface AuditRetentionDeps {
  store: Pick<Store, 'deleteAudit' | 'cluster'>;
  logger: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Days that entries are kept at most. 0: until they were exported and released. */
  auditRetentionDays: number;
  intervalMs?: number;
}

/** Starts the rounds. `stop` settles when no step is under way. */
export function startAuditRetention(deps: AuditRetentionDeps): { stop(): Promise<void> } {
  const { store, logger, now, auditRetentionDays: days, intervalMs = ROUND_MS } = deps;

  async function round(): Promise<void> {
    // One of several servers performs it.
    if ((await store.cluster?.takeDuty({ name: 'audit-retention', intervalMs })) === false) return;
    const before = days === 0 ? 0 : now() - days * DAY_MS;
    let deleted = 0;
    for (let step = STEP; step > 0 && !poll.stopped; ) {
      step = await store.deleteAudit({ before, limit: STEP });
      deleted += step;
      if (step > 0) await delay(PAUSE_MS);
    }
    if (deleted > 0) logger.info({ [LOG_KEY.entries]: deleted }, 'deleted entries of the audit trail');
  }

  const failed = (err: unknown): void => logger.warn({ err }, 'the audit trail could not be trimmed; trying again');
  const poll = new Poll({ work: round, intervalMs, failed });
  poll.start();
  return poll;
}
