/** Waits for the commits of one execution. A commit before the wait is not missed. */
import type { Execution } from '../../../store/store.ts';
import type { Live } from './live.ts';

export interface Commits {
  /** The newest state seen. `undefined` before the first commit. */
  latest(): Execution | undefined;
  /** Makes `next` settle as a commit does: something else has changed. */
  wake(): void;
  /** Settles at the next commit or `wake` since the last call, after `ms`, or when `signal` aborts. True for the first two. */
  next(ms: number, signal: AbortSignal): Promise<boolean>;
  /** Stops watching. */
  close(): void;
}

/** Starts watching. Call it before reading the state whose change is awaited. */
export function watchCommits(live: Pick<Live, 'subscribe'>, executionId: string): Commits {
  let latest: Execution | undefined;
  let fresh = false;
  let settle: () => void = () => {};
  const wake = (): void => {
    fresh = true;
    settle();
  };
  const unsubscribe = live.subscribe(executionId, (execution) => {
    latest = execution;
    wake();
  });
  return {
    latest: () => latest,
    wake,
    close: unsubscribe,
    async next(ms, signal) {
      if (!fresh && !signal.aborted && ms > 0) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            settle = () => {};
            resolve();
          };
          const timer = setTimeout(done, ms);
          signal.addEventListener('abort', done, { once: true });
          settle = done;
        });
      }
      const committed = fresh;
      fresh = false;
      return committed;
    },
  };
}
