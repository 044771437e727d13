/** Kills of a tree while process numbers are used again, in a simulated process table. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { killProcessTree } from '../../../../src/agent/runner/spawner/process-tree.ts';
import type { ProcessRow } from '../../../../src/node/process-table.ts';

/** By pid. Numbers above the greatest possible one, so that no process has them. */
const table = vi.hoisted(() => new Map<number, ProcessRow & { marked: boolean }>());
const MAIN = 2 ** 30;
const REUSED = MAIN + 1;

vi.mock('../../../../src/node/process-table.ts', () => ({
  bootId: () => 'boot',
  processIds: () => [...table.keys()],
  processRow: (pid: number) => table.get(pid),
  hasVariable: (pid: number) => table.get(pid)?.marked ?? false,
}));

const signals: [number, string | number | undefined][] = [];
/** Called after each signal. */
let afterSignal: (pid: number, signal: string | number | undefined) => void = () => {};

beforeEach(() => {
  vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
    signals.push([pid, signal]);
    if (signal === 'SIGKILL') table.delete(pid);
    afterSignal(pid, signal);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  table.clear();
  signals.length = 0;
  afterSignal = () => {};
});

function live(pid: number, startTime: string, marked: boolean): void {
  table.set(pid, { pid, parent: 1, group: pid, session: pid, startTime, ended: false, kernel: false, marked });
}
const killMain = () =>
  killProcessTree({
    executionId: 'ex-1',
    main: { pid: MAIN, startTime: '1', bootId: 'boot' },
    sessionIsOurs: true,
  });

test('a process of the tree that got the number of a stranger is killed', async () => {
  live(MAIN, '1', true);
  live(REUSED, '1', false);
  afterSignal = (pid, signal) => {
    if (pid === MAIN && signal === 'SIGKILL') live(REUSED, '2', true);
  };
  await killMain();
  expect(signals).toContainEqual([REUSED, 'SIGKILL']);
  expect(table.size).toBe(0);
});

test('a stranger is neither stopped nor killed', async () => {
  live(MAIN, '1', true);
  live(REUSED, '1', false);
  await killMain();
  expect(signals.filter(([pid]) => Math.abs(pid) !== MAIN)).toEqual([]);
  expect([...table.keys()]).toEqual([REUSED]);
});

test('the process group is stopped before the first search, and only while it is that of the tree', async () => {
  live(MAIN, '1', true);
  await killMain();
  expect(signals[0]).toEqual([-MAIN, 'SIGSTOP']);
  signals.length = 0;
  live(MAIN, 'later', false);
  await killMain();
  expect(signals).toEqual([]);
});
