/** Waits for the commits of one execution. A commit before the wait is not missed. */
import type { Execution } from '../../../store/store.ts';
import type { Live } from './live.ts';

export interface Commits {
  /** The newest state seen. `undefined` before the first commit. */
  latest(): Execution | undefined;
  /** Settles at the next commit since the last call, after `ms`, or when `signal` aborts. True for a commit. */
  next(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Stops watching. */
  close(): void;
}

/** Starts watching. Call it before reading the state whose change is awaited. */
export function watchCommits(live: Pick<Live, 'subscribe'>, executionId: string): Commits {
  let latest: Execution | undefined;
  let fresh = false;
  let wake: () => void = () => {};
  const unsubscribe = live.subscribe(executionId, (execution) => {
    latest = execution;
    fresh = true;
    wake();
  });
  return {
    latest: () => latest,
    close: unsubscribe,
    async next(ms, signal) {
      if (!fresh && !signal.aborted && ms > 0) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            wake = () => {};
            resolve();
          };
          const timer = setTimeout(done, ms);
          signal.addEventListener('abort', done, { once: true });
          wake = done;
        });
      }
      const committed = fresh;
      fresh = false;
      return committed;
    },
  };
}
