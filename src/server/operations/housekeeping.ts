/** Keeps the database from growing for ever: by age, by size, and what has expired; room that is free goes back to the disk. */
import type { Logger } from 'pino';
import type { Store } from '../../store/store.ts';
import { LOG_KEY } from '../../node/log-keys.ts';

/** Between two rounds when nothing was left to delete. */
const ROUND_MS = 60_000;
const DAY_MS = 86_400_000;
/** Rows a transaction: small, so that a create never waits behind it for long. */
const STEP = 50;
/** Between two steps of a round, so that what came in meanwhile goes first. */
const PAUSE_MS = 20;

export interface HousekeepingDeps {
  store: Pick<Store, 'deleteFinished' | 'forgetExpired' | 'expireArtifacts' | 'maintain' | 'usedBytes'>;
  logger: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Days that finished executions are kept; 0: for ever. */
  retentionDays: number;
  /** Size of the database above which the oldest finished executions go; 0: no limit. */
  maxDatabaseBytes: number;
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

/** One small step of a duty; false when there was nothing left to do. */
type Step = () => Promise<boolean>;

/** Each duty in small steps until nothing is due any more. */
async function round(deps: HousekeepingDeps, signal: AbortSignal): Promise<void> {
  const { store, now } = deps;
  let deleted = 0;
  const deleteBefore = async (before: number): Promise<boolean> => {
    const executions = await store.deleteFinished({ before, limit: STEP });
    deleted += executions;
    return executions > 0;
  };
  const duties: Step[] = [
    () => (deps.retentionDays === 0 ? nothing() : deleteBefore(now() - deps.retentionDays * DAY_MS)),
    async () => (await store.expireArtifacts({ now: now(), limit: STEP })) > 0,
    async () => (await store.forgetExpired({ now: now(), limit: STEP })) > 0,
    // Cleared before the next look at the size: else all would be deleted before any of it counts.
    async () =>
      (await store.maintain({ maxBytes: deps.maxDatabaseBytes })) ||
      ((await isTooLarge(deps)) && deleteBefore(Number.MAX_SAFE_INTEGER)),
  ];
  for (const step of duties) {
    while (!signal.aborted && (await step())) await pause(PAUSE_MS, signal);
  }
  if (deleted > 0)
    deps.logger.info({ [LOG_KEY.executions]: deleted }, 'deleted finished executions past their retention');
  if (!signal.aborted && (await isTooLarge(deps))) {
    deps.logger.warn('the database is larger than EXECPLANE_MAX_DATABASE_BYTES, with no finished execution in it');
  }
}

async function nothing(): Promise<boolean> {
  return false;
}

async function isTooLarge({ store, maxDatabaseBytes }: HousekeepingDeps): Promise<boolean> {
  return maxDatabaseBytes > 0 && (await store.usedBytes()) > maxDatabaseBytes;
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
