/** Kills of a tree without a cgroup beside the forks of other users, whose processes cannot be read, by a simulated clock and process table. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { killProcessTree } from '../../../../src/agent/runner/spawner/process-tree.ts';

const MAIN = 2 ** 30;
/** Of the finding: a timeout has to settle within 2 s. */
const SETTLED_MS = 2000;
/** Time that one search takes, as on a slow machine with many processes. */
const SEARCH_MS = 20;

const world = vi.hoisted(() => ({ nowMs: 0, searches: 0, mainRuns: true, stranger: 0 }));

vi.mock('node:timers/promises', () => ({
  setTimeout: async (ms: number) => {
    world.nowMs += ms;
  },
}));

vi.mock('../../../../src/node/process-table.ts', () => ({
  bootId: () => 'boot',
  /** Every search finds two processes of another user that the search before did not. */
  processIds: () => {
    world.searches += 1;
    world.nowMs += SEARCH_MS;
    world.stranger += 2;
    return [...(world.mainRuns ? [MAIN] : []), MAIN + world.stranger, MAIN + world.stranger + 1];
  },
  processRow: (pid: number) => {
    if (pid === MAIN && !world.mainRuns) return undefined;
    const own = pid === MAIN ? MAIN : pid;
    return { pid, parent: 1, group: own, session: own, startTime: '1', ended: false, kernel: false };
  },
  hasVariable: (pid: number) => (pid === MAIN ? true : undefined),
}));

beforeEach(() => {
  Object.assign(world, { nowMs: 0, searches: 0, mainRuns: true, stranger: 0 });
  vi.spyOn(performance, 'now').mockImplementation(() => world.nowMs);
});
afterEach(() => void vi.restoreAllMocks());

test('a kill settles within 2 s although each search finds new processes that it cannot read, and kills none of them (P3)', async () => {
  const killed: number[] = [];
  vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
    if (signal === 'SIGKILL') {
      killed.push(pid);
      world.mainRuns = false;
    }
    return true;
  });
  const main = { pid: MAIN, startTime: '1', bootId: 'boot' };
  await killProcessTree({ executionId: 'ex-1', main, sessionIsOurs: true });
  expect(killed).toEqual([MAIN]);
  expect(world.nowMs).toBeLessThan(SETTLED_MS);
  // It has searched on: a process of the tree may have been unreadable at first.
  expect(world.searches).toBeGreaterThan(10);
});

test('a process of the tree that could not be read at first is killed', async () => {
  const killed: number[] = [];
  vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
    if (signal === 'SIGKILL') killed.push(pid);
    // The main process is unkillable for its first ten signals.
    if (killed.length >= 10) world.mainRuns = false;
    return true;
  });
  const main = { pid: MAIN, startTime: '1', bootId: 'boot' };
  await killProcessTree({ executionId: 'ex-1', main, sessionIsOurs: true });
  expect(new Set(killed)).toEqual(new Set([MAIN]));
  expect(killed.length).toBe(10);
});
