import { describe, expect, test } from 'vitest';
import { Live } from '../../../../src/server/control/live/live.ts';
import type { Execution } from '../../../../src/store/store.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';

const QUEUED = storedExecution();
const RUNNING = storedExecution({ status: 'running', lastSequence: 2 });
const ENDED = storedExecution({ status: 'succeeded', lastSequence: 3 });

/** A Live on a stub of the store with one execution, which counts reads. */
function liveOver(stored: Execution | undefined, options: { hearsAll?: (machineId: string) => boolean } = {}) {
  const reads: number[] = [];
  const live = new Live(
    {
      getExecution: async () => {
        reads.push(reads.length + 1);
        return stored;
      },
    },
    options,
  );
  return { live, reads };
}

function wait(live: Live, execution: Execution, p: { waitMs?: number; signal?: AbortSignal } = {}) {
  const { waitMs = 10_000, signal = new AbortController().signal } = p;
  return live.waitForEnd({ execution, waitMs, signal });
}

describe('waitForEnd', () => {
  test('answers at once if the execution has ended', async () => {
    const { live, reads } = liveOver(ENDED);
    expect(await wait(live, ENDED)).toBe(ENDED);
    expect(reads).toEqual([]);
  });

  test('answers if the execution ended between the caller’s read and the wait', async () => {
    const { live } = liveOver(ENDED);
    expect(await wait(live, RUNNING)).toBe(ENDED);
  });

  test('answers at the commit that ends it, whatever its own read finds', async () => {
    const { live, reads } = liveOver(undefined);
    const waiting = wait(live, QUEUED);
    live.committed(RUNNING);
    live.committed(ENDED);
    expect(await waiting).toBe(ENDED);
    expect(reads).toEqual([1]);
  });

  test('reads the store if another server has committed since the last commit that is known here', async () => {
    const { live, reads } = liveOver(ENDED);
    live.committed(QUEUED);
    expect(await wait(live, RUNNING)).toBe(ENDED);
    expect(reads).toEqual([1]);
  });

  test('does not read a state again that was just committed, or that another server has sent', async () => {
    const { live, reads } = liveOver(RUNNING);
    live.remember(QUEUED);
    const waiting = wait(live, QUEUED);
    live.committed(ENDED);
    expect(await waiting).toBe(ENDED);
    expect(reads).toEqual([]);
  });

  test('answers a later commit that was seen before the wait began, also if an earlier state comes after it', async () => {
    const { live, reads } = liveOver(QUEUED, { hearsAll: () => true });
    live.committed(ENDED);
    live.remember(QUEUED);
    expect(await wait(live, QUEUED)).toBe(ENDED);
    expect(reads).toEqual([]);
    expect(live.subscribed).toBe(0);
  });

  test('does not take an older read for the newer state', async () => {
    const store = Promise.withResolvers<Execution | undefined>();
    const live = new Live({ getExecution: () => store.promise });
    const waiting = wait(live, QUEUED, { waitMs: 50 });
    live.committed(RUNNING);
    store.resolve(QUEUED);
    expect(await waiting).toBe(RUNNING);
  });

  test('answers the present state when the time is over or the caller is gone', async () => {
    const { live } = liveOver(RUNNING);
    expect(await wait(live, RUNNING, { waitMs: 5 })).toBe(RUNNING);
    const gone = new AbortController();
    const waiting = wait(live, RUNNING, { signal: gone.signal });
    gone.abort();
    expect(await waiting).toBe(RUNNING);
    expect(await wait(live, RUNNING, { signal: gone.signal })).toBe(RUNNING);
    expect(await wait(live, RUNNING, { waitMs: 0 })).toBe(RUNNING);
  });

  test('rejects if the store cannot be read, and leaves no subscription', async () => {
    const live = new Live({ getExecution: () => Promise.reject(new Error('no')) });
    await expect(wait(live, RUNNING)).rejects.toThrow('no');
    expect(live.subscribed).toBe(0);
  });

  test('leaves no subscription, however it ends', async () => {
    const { live } = liveOver(RUNNING);
    const gone = new AbortController();
    const waits = [wait(live, RUNNING, { waitMs: 1 }), wait(live, RUNNING, { signal: gone.signal })];
    const other = wait(live, RUNNING);
    expect(live.subscribed).toBe(1);
    gone.abort();
    await Promise.all(waits);
    live.committed(ENDED);
    await other;
    expect(live.subscribed).toBe(0);
  });

  test('is answered when the server stops, and from then on at once', async () => {
    const { live } = liveOver(RUNNING);
    const waiting = wait(live, RUNNING);
    live.close();
    expect(await waiting).toBe(RUNNING);
    expect(await wait(live, RUNNING)).toBe(RUNNING);
  });
});

describe('waitForEvents', () => {
  const signal = new AbortController().signal;

  test('answers if there is an event past the cursor', async () => {
    const { live } = liveOver(RUNNING);
    const request = { execution: RUNNING, waitMs: 10_000, signal };
    expect(await live.waitForEvents({ ...request, afterSequence: 1 })).toBe(RUNNING);
    const waiting = live.waitForEvents({ ...request, afterSequence: 2 });
    const next = storedExecution({ status: 'running', lastSequence: 3 });
    live.committed(next);
    expect(await waiting).toBe(next);
  });

  test('answers if no further event will come', async () => {
    const { live } = liveOver(ENDED);
    expect(await live.waitForEvents({ execution: ENDED, waitMs: 10_000, signal, afterSequence: 3 })).toBe(ENDED);
  });
});

describe('subscribe', () => {
  test('calls each listener for each commit until it unsubscribes, and a listener may unsubscribe during the call', () => {
    const { live } = liveOver(RUNNING);
    const seen: string[] = [];
    const leave = live.subscribe('ex-1', () => {
      seen.push('first');
      leave();
      leave();
    });
    live.subscribe('ex-1', () => seen.push('second'));
    live.committed(RUNNING);
    live.committed(RUNNING);
    expect(seen).toEqual(['first', 'second', 'second']);
  });

  test('keeps a new subscription if an old unsubscription is repeated', () => {
    const { live } = liveOver(RUNNING);
    const seen: string[] = [];
    const leave = live.subscribe('ex-1', () => seen.push('old'));
    leave();
    live.subscribe('ex-1', () => seen.push('new'));
    leave();
    live.committed(RUNNING);
    expect(seen).toEqual(['new']);
  });
});
