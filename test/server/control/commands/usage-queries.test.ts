import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { UsageQueries } from '../../../../src/server/control/commands/usage-queries.ts';

const ASKED = { machineId: 'dm-one', executionId: 'exec-1' };
const USAGE = { cpu_user_ms: 20, cpu_system_ms: 10, max_memory_bytes: 4096 };
const ANSWER = { type: 'usage', execution_id: 'exec-1', usage: USAGE } as const;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('queries about the same command share one answer', async () => {
  const queries = new UsageQueries();
  const send = vi.fn(() => true);
  const both = Promise.all([queries.ask(ASKED, send), queries.ask(ASKED, send)]);
  queries.answered('dm-one', ANSWER);
  expect(await both).toEqual([USAGE, USAGE]);
  expect(send).toHaveBeenCalledTimes(1);
  const again = queries.ask(ASKED, send);
  expect(send).toHaveBeenCalledTimes(2);
  queries.answered('dm-one', { type: 'usage', execution_id: 'exec-1' });
  expect(await again).toBeUndefined();
});

test('an answer of another machine is ignored, and so is one that nobody waits for', async () => {
  const queries = new UsageQueries();
  queries.answered('dm-one', ANSWER);
  const asked = queries.ask(ASKED, () => true);
  queries.answered('dm-two', { ...ANSWER, usage: { ...USAGE, cpu_user_ms: 99 } });
  queries.answered('dm-one', ANSWER);
  expect(await asked).toEqual(USAGE);
});

test('usage is unknown without an answer, or if the query cannot be sent', async () => {
  const queries = new UsageQueries();
  expect(await queries.ask(ASKED, () => false)).toBeUndefined();
  const silent = queries.ask(ASKED, () => true);
  vi.advanceTimersByTime(2000);
  expect(await silent).toBeUndefined();
});
