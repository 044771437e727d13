/** The age of a moment, with the exact time on hover. */
import { useSyncExternalStore } from 'react';
import { ageText } from './duration.ts';

const TICK_MS = 1000;

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

/** One clock for the whole page, which stops while the page is not visible. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const tell of listeners) tell();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** ms since the epoch, to the second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });

export function Age({ at }: { at: string }) {
  const moment = new Date(at);
  const current = useNow();
  return (
    <time className="nowrap" dateTime={at} title={exact.format(moment)}>
      {ageText(current - moment.getTime())}
    </time>
  );
}
