/** Terminals without a client are closed after a time limit. The client can be on any server. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { DetachedTerminals } from '../../../../src/server/control/terminals/detached-terminals.ts';

const DETACHED_MS = 500;

/** Servers on one store with one terminal. A test sets which servers have a client of the terminal. */
function servers() {
  let [now, readAt] = [0, 0];
  const store = {
    outputRead: vi.fn(async (p: { until: number }) => {
      readAt = p.until;
    }),
    listIdleTerminals: async ({ idleSince }: { idleSince: number }) =>
      readAt < idleSince ? [{ machineId: 'dm-one', executionId: 'term-1' } as never] : [],
  };
  const start = (attached: () => string[]) => {
    const cancel = vi.fn(async () => ({ outcome: 'not_found' as const }));
    const log = { error: vi.fn() };
    const terminals = new DetachedTerminals({
      ...{ store, control: { cancel }, log, attached, now: () => now, detachedMs: DETACHED_MS },
    });
    terminals.start();
    onTestFinished(() => terminals.stop());
    return { cancel, terminals };
  };
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      now += 10;
      await vi.advanceTimersByTimeAsync(10);
    }
  };
  return { start, pass, store };
}

test('a client on another server keeps the terminal open; without one it is closed in time', async () => {
  const { start, pass } = servers();
  let attached = ['term-1'];
  const [owner, other] = [start(() => []), start(() => attached)];
  await pass(20 * DETACHED_MS);
  expect(owner.cancel).not.toHaveBeenCalled();
  attached = [];
  other.terminals.detached('term-1');
  await pass(DETACHED_MS - 100);
  expect(owner.cancel).not.toHaveBeenCalled();
  await pass(200);
  expect(owner.cancel).toHaveBeenCalledWith({ machineId: 'dm-one', executionId: 'term-1', by: 'detached' });
  expect(other.cancel).toHaveBeenCalled();
});

test('the time continues when another server takes over', async () => {
  const { start, pass } = servers();
  const first = start(() => []);
  await pass(DETACHED_MS - 100);
  await first.terminals.stop();
  const second = start(() => []);
  await pass(200);
  expect(first.cancel).not.toHaveBeenCalled();
  expect(second.cancel).toHaveBeenCalled();
});
