import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type DeadlineDeps, Deadlines } from '../../../src/server/control/deadlines.ts';
import { type Execution, StoreUnavailableError } from '../../../src/store/store.ts';
import { storedExecution } from '../../helpers/stored-execution.ts';

const LOST_AFTER_MS = 60_000;
const IDLE_AFTER_MS = 3_600_000;

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

/** Deadlines on a stub of the store with expiry times and abandoned executions. */
function deadlinesOver(p: { expiries?: number[]; store?: Partial<DeadlineDeps['store']>; onSearch?: () => void } = {}) {
  const expiries = [...(p.expiries ?? [])];
  const published: Execution[] = [];
  const lost: string[] = [];
  const limited: string[] = [];
  let abandoned: Execution[] = [];
  const deadlines = new Deadlines({
    store: {
      nextExpiry: async () => (expiries.length === 0 ? undefined : Math.min(...expiries)),
      expireDue: async ({ now, limit }) => {
        p.onSearch?.();
        const due = expiries.filter((at) => at <= now).slice(0, limit);
        for (const at of due) expiries.splice(expiries.indexOf(at), 1);
        return due.map((at) => storedExecution({ executionId: `e${at}`, status: 'expired' }));
      },
      markAbandonedLost: async ({ awaySince }) => {
        const ended = abandoned.filter((one) => one.createdAt <= awaySince);
        lost.push(...ended.map((one) => one.executionId));
        abandoned = abandoned.filter((one) => !ended.includes(one));
        return ended.map(({ executionId }) => storedExecution({ executionId, status: 'failed' }));
      },
      abandonIdleOutput: async () => [],
      ...p.store,
    },
    log: { warn: () => undefined },
    now: Date.now,
    agentLostAfterMs: LOST_AFTER_MS,
    streamIdleMs: IDLE_AFTER_MS,
    machines: { outputLimited: async (execution) => void limited.push(execution.executionId) },
    commits: { committed: (execution) => void published.push(execution) },
  });
  return {
    deadlines,
    expiries,
    limited,
    published,
    lost,
    abandon: (...executions: Execution[]) => {
      abandoned = executions;
    },
  };
}

test('executions that expire one after the other are searched for at most twenty times a second', async () => {
  const expiries = Array.from({ length: 1000 }, (_, index) => 1_000_000 + index);
  let searches = 0;
  const { deadlines, published } = deadlinesOver({
    expiries,
    onSearch: () => {
      searches += 1;
    },
  });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(1100);
  expect(published).toHaveLength(1000);
  expect(searches).toBeLessThanOrEqual(22);
});

test('due executions expire at the start, later ones at their time and not before', async () => {
  const { deadlines, published } = deadlinesOver({ expiries: [900_000, 1_005_000] });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(1);
  expect(published.map((one) => one.executionId)).toEqual(['e900000']);
  await vi.advanceTimersByTimeAsync(4_990);
  expect(published).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(10);
  expect(published).toHaveLength(2);
  await deadlines.stop();
});

test('an earlier expiry wakes the timer; one past 2^31 ms does not fire early', async () => {
  const far = 1_000_000 + 3_000_000_000;
  const { deadlines, expiries, published } = deadlinesOver({ expiries: [far] });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(10);
  expiries.push(1_002_000);
  deadlines.waitsUntil(1_002_000);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(published.map((one) => one.executionId)).toEqual(['e1002000']);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(published).toHaveLength(1);
  await deadlines.stop();
});

test('a clock that is set forward is noticed within a minute (fault 21)', async () => {
  const { deadlines, published } = deadlinesOver({ expiries: [1_000_000 + 3_600_000] });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(10);
  vi.setSystemTime(1_000_000 + 4_000_000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(published).toHaveLength(1);
  await deadlines.stop();
});

test('a store that cannot be written is asked again', async () => {
  let broken = true;
  const { deadlines, published } = deadlinesOver({
    store: {
      expireDue: async () => {
        if (broken) throw new StoreUnavailableError('disk full');
        return [storedExecution({ status: 'expired' })];
      },
    },
  });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(500);
  expect(published).toHaveLength(0);
  broken = false;
  await vi.advanceTimersByTimeAsync(1000);
  expect(published).toHaveLength(1);
  await deadlines.stop();
});

test('executions are lost if their agent is away for longer than the limit, by the clock of the store', async () => {
  const { deadlines, lost, abandon } = deadlinesOver();
  deadlines.start();
  // The machine was disconnected before the store was opened. The time limit starts when the store is opened.
  abandon(storedExecution({ executionId: 'before', createdAt: Date.now() }));
  await vi.advanceTimersByTimeAsync(LOST_AFTER_MS - 10);
  expect(lost).toEqual([]);
  await vi.advanceTimersByTimeAsync(5_010);
  expect(lost).toEqual(['before']);
  abandon(storedExecution({ executionId: 'after', createdAt: Date.now() }));
  await vi.advanceTimersByTimeAsync(LOST_AFTER_MS - 5_000);
  expect(lost).toEqual(['before']);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(lost).toEqual(['before', 'after']);
  await deadlines.stop();
});

test('the deadlines leave no timer when they are stopped', async () => {
  const { deadlines } = deadlinesOver({ expiries: [2_000_000] });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(10);
  await deadlines.stop();
  deadlines.waitsUntil(1_000_500);
  expect(vi.getTimerCount()).toBe(0);
});

test('a stream that nobody has read for too long is limited: listeners and the agent are told', async () => {
  const asked: number[] = [];
  const { deadlines, published, limited } = deadlinesOver({
    store: {
      abandonIdleOutput: async ({ idleSince }) => {
        asked.push(idleSince);
        return asked.length === 1 ? [storedExecution({ executionId: 'e1', outputMode: 'abandoned' })] : [];
      },
    },
  });
  deadlines.start();
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toStrictEqual([1_005_000 - IDLE_AFTER_MS]);
  expect(published.map(({ executionId }) => executionId)).toContain('e1');
  expect(limited).toStrictEqual(['e1']);
  await deadlines.stop();
});
