/** Keeps the database from growing for ever: finished executions past their retention, expired keys and tokens. */
import type { Logger } from 'pino';
import type { Store } from '../store/store.ts';

/** Between two rounds when nothing was left to delete. */
const ROUND_MS = 60_000;
/** Rows a transaction: small, so that a create never waits behind it for long. */
const STEP = 50;
/** Between two steps of a round, so that what came in meanwhile goes first. */
const PAUSE_MS = 20;

export interface HousekeepingDeps {
  store: Pick<Store, 'deleteFinished' | 'forgetExpired'>;
  logger: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Days that finished executions are kept; 0: for ever. */
  retentionDays: number;
}

/** Starts the rounds; the first one comes at once. `stop` settles when no step is under way any more. */
export function startHousekeeping(deps: HousekeepingDeps): { stop(): Promise<void> } {
  const abort = new AbortController();
  const running = rounds(deps, abort.signal);
  return {
    stop: async () => {
      abort.abort();
      await running;
    },
  };
}

async function rounds(deps: HousekeepingDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await round(deps, signal);
    } catch (cause) {
      deps.logger.warn({ err: cause }, 'housekeeping failed; it is tried again');
    }
    await pause(ROUND_MS, signal);
  }
}

/** Small steps until nothing is due any more. */
async function round(deps: HousekeepingDeps, signal: AbortSignal): Promise<void> {
  let deleted = 0;
  let step: number;
  do {
    const now = deps.now();
    const executions =
      deps.retentionDays === 0
        ? 0
        : await deps.store.deleteFinished({ before: now - deps.retentionDays * 86_400_000, limit: STEP });
    const forgotten = await deps.store.forgetExpired({ now, limit: STEP });
    deleted += executions;
    step = executions + forgotten;
    if (step > 0) await pause(PAUSE_MS, signal);
  } while (step > 0 && !signal.aborted);
  if (deleted > 0) deps.logger.info({ executions: deleted }, 'deleted finished executions past their retention');
}

/** Settles after `ms`, or at once when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
