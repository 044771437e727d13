import { expect, test } from 'vitest';
import { backoffDelay } from '../../../../src/agent/link/connection/backoff.ts';
import { cpuShare } from '../../../../src/agent/link/facts.ts';
import { delayAfter } from '../../../../src/agent/link/connection/connection-loop.ts';
import type { SessionEnd } from '../../../../src/agent/link/connection/session.ts';
import { CLOSE } from '../../../../src/core/protocol.ts';

const closed = (code: number, linkedMs = 0): SessionEnd => ({ cause: 'closed', code, detail: '', linkedMs });
const refused = (status: number): SessionEnd => ({ cause: 'refused', status, detail: '' });

test('the delay is random below a ceiling that doubles from 250 ms to 10 s', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 100].map((failures) => backoffDelay(failures, 1))).toEqual([
    250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000,
  ]);
  expect(backoffDelay(6, 0)).toBe(0);
  expect(backoffDelay(6, 0.5)).toBe(5000);
});

test.each([
  refused(401),
  refused(403),
  closed(CLOSE.revoked),
  closed(CLOSE.version),
  closed(CLOSE.duplicate),
  closed(CLOSE.removed),
])('a refusal is retried slowly, for ever: %j', (end) => {
  expect(delayAfter(end, 0, 0)).toBe(30_000);
  expect(delayAfter(end, 1_000_000, 1)).toBe(60_000);
});

test.each([
  refused(503),
  refused(404),
  closed(1006, 9000),
  closed(CLOSE.timeout),
  closed(CLOSE.badFrame),
  { cause: 'unreachable', detail: '' } as const,
  { cause: 'runner_gone' } as const,
])('any other end backs off: %j', (end) => {
  expect(delayAfter(end, 0, 1)).toBe(250);
  expect(delayAfter(end, 20, 1)).toBe(10_000);
});

test('agents wait for the time that a restarting server asks for, and a random time in addition', () => {
  expect(delayAfter(closed(CLOSE.restart, 9000), 5, 0)).toBe(0);
  expect(delayAfter(closed(CLOSE.restart, 9000), 5, 1)).toBe(2000);
});

test('a server that keeps restarting is backed off from', () => {
  expect(delayAfter(closed(CLOSE.restart, 0), 20, 1)).toBe(10_000);
});

test.each([
  ['max 100000', undefined],
  ['150000 100000', 1.5],
  ['', undefined],
  [undefined, undefined],
])('cpu.max %j allows %s CPUs', (text, cpus) => expect(cpuShare(text)).toBe(cpus));
