/**
 * Limits the size of the database: deletes by age and by size, removes expired rows, and returns free space to the disk. Deletes the
 * contents of ended terminals.
 */
import type { Logger } from 'pino';
import type { Store } from '../../store/store.ts';
import { LOG_KEY } from '../../node/log-keys.ts';
import { pause } from '../pause.ts';

/** Delay between two rounds, ms. */
const ROUND_MS = 60_000;
const DAY_MS = 86_400_000;
/** Time after the end of a terminal for which its contents are kept, ms: clients that reconnect receive the output that they missed. */
const TERMINAL_CONTENTS_MS = 3_600_000;
/** Number of terminals whose contents, at most 1.5 MiB of each, are deleted in one transaction. */
const TERMINAL_STEP = 5;
/** Number of executions in one transaction: few, so that a create does not wait long for it. */
const STEP = 50;
/** Number of rows of batches in one transaction. They are small. */
const BATCH_STEP = 500;
/** Delay between two steps of a round, ms, in which waiting requests are served. */
const PAUSE_MS = 20;

export interface HousekeepingDeps {
  store: Pick<
    Store,
    | 'deleteFinished'
    | 'deleteEndedBatches'
    | 'forgetExpired'
    | 'expireArtifacts'
    | 'releaseEndedTerminals'
    | 'maintain'
    | 'usedBytes'
    | 'cluster'
  >;
  logger: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** Days for which finished executions and batches are kept. 0: without end. */
  retentionDays: number;
  /** Size of the database above which the oldest finished executions are deleted. 0: no limit. */
  maxDatabaseBytes: number;
}

/** Starts the rounds, the first one immediately. `stop` settles when no step is under way. */
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
      // One of several servers performs it.
      const duty = await deps.store.cluster?.takeDuty({ name: 'housekeeping', intervalMs: ROUND_MS });
      if (duty !== false) await round(deps, signal);
    } catch (cause) {
      deps.logger.warn({ err: cause }, 'housekeeping failed; trying again in a minute');
    }
    await pause(ROUND_MS, signal);
  }
}

/** One small step of a task. False when nothing is left to do. */
type Step = () => Promise<boolean>;

/** Runs each task in small steps until nothing is left to do. */
async function round(deps: HousekeepingDeps, signal: AbortSignal): Promise<void> {
  const { store, now } = deps;
  let deleted = 0;
  const deleteBefore = async (before: number): Promise<boolean> => {
    const executions = await store.deleteFinished({ before, limit: STEP });
    deleted += executions;
    if (executions > 0) return true;
    return (await store.deleteEndedBatches({ before, limit: BATCH_STEP })) > 0;
  };
  const duties: Step[] = [
    () => (deps.retentionDays === 0 ? nothing() : deleteBefore(now() - deps.retentionDays * DAY_MS)),
    async () => (await store.expireArtifacts({ now: now(), limit: STEP })) > 0,
    async () =>
      (await store.releaseEndedTerminals({ endedBefore: now() - TERMINAL_CONTENTS_MS, limit: TERMINAL_STEP })) > 0,
    async () => (await store.forgetExpired({ now: now(), limit: STEP })) > 0,
    // Remains are cleared before the size is read again. Otherwise all executions would be deleted before a deletion reduces the size.
    async () =>
      (await store.maintain({ maxBytes: deps.maxDatabaseBytes })) ||
      ((await isTooLarge(deps)) && deleteBefore(Number.MAX_SAFE_INTEGER)),
  ];
  for (const step of duties) {
    while (!signal.aborted && (await step())) await pause(PAUSE_MS, signal);
  }
  if (deleted > 0)
    deps.logger.info(
      { [LOG_KEY.executions]: deleted },
      'deleted finished executions past their retention, or above EXECPLANE_MAX_DATABASE_BYTES',
    );
  if (!signal.aborted && (await isTooLarge(deps))) {
    deps.logger.warn(
      'the database is larger than EXECPLANE_MAX_DATABASE_BYTES, and has no finished execution to delete: raise the limit',
    );
  }
}

async function nothing(): Promise<boolean> {
  return false;
}

async function isTooLarge({ store, maxDatabaseBytes }: HousekeepingDeps): Promise<boolean> {
  return maxDatabaseBytes > 0 && (await store.usedBytes()) > maxDatabaseBytes;
}
