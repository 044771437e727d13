/** Counts executions by minute for the charts of the console. Counts are collected in memory, so that no execution waits for them. */
import type { Logger } from 'pino';
import { isTerminal } from '../../core/execution.ts';
import type { Execution, MinuteCount, Store } from '../../store/store.ts';
import type { ExecutionObserver } from '../control/execution-observer.ts';
import { startName } from './start-times.ts';

const MINUTE_MS = 60_000;
/** Interval of writes, in ms: a crash loses the counts of at most this time. */
const FLUSH_MS = 5000;
/** Minutes for which counts are kept. The charts show a week. */
const KEPT_MINUTES = 8 * 24 * 60;

export interface ExecutionCounts extends Pick<ExecutionObserver, 'created' | 'committed'> {
  /** Writes the rest, and stops the timer. */
  stop(): Promise<void>;
}

/** `now`: ms since the epoch. */
export function startExecutionCounts(p: {
  store: Pick<Store, 'addCounts'>;
  logger: Pick<Logger, 'warn'>;
  now: () => number;
}): ExecutionCounts {
  let gathered = new Map<string, MinuteCount>();
  const add = (name: string, count = 1, minute = Math.floor(p.now() / MINUTE_MS)): void => {
    const key = `${minute} ${name}`;
    gathered.set(key, { minute, name, count: (gathered.get(key)?.count ?? 0) + count });
  };
  const flush = async (): Promise<void> => {
    if (gathered.size === 0) return;
    const batch = gathered;
    gathered = new Map();
    const forgetBefore = Math.floor(p.now() / MINUTE_MS) - KEPT_MINUTES;
    try {
      await p.store.addCounts({ counts: [...batch.values()], forgetBefore });
    } catch (err) {
      p.logger.warn({ err }, 'counts of executions were not written; trying again');
      for (const { minute, name, count } of batch.values()) if (minute >= forgetBefore) add(name, count, minute);
    }
  };
  const timer = setInterval(() => void flush(), FLUSH_MS).unref();
  return {
    created: () => add('created'),
    committed(execution) {
      if (!isTerminal(execution.status)) return;
      add(execution.status);
      const wait = startWaitMs(execution);
      if (wait !== undefined) add(startName(wait));
    },
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}

/** Returns the time from the create to the start of an execution; not negative, although clocks may be set back. */
function startWaitMs({ createdAt, startedAt }: Execution): number | undefined {
  return startedAt === undefined ? undefined : Math.max(0, startedAt - createdAt);
}
