import { expect, test } from 'vitest';
import { decideTick, MISSED_AFTER_MS, type TickContext } from '../../src/core/schedule.ts';

const TICK: TickContext = { overlap: 'skip', catchUp: false, lateMs: 0, busy: false, queued: false };
const outcomeOf = (context: Partial<TickContext>) => decideTick({ ...TICK, ...context }).outcome;

test('a tick starts a run if no run of the schedule is active', () => {
  for (const overlap of ['skip', 'queue', 'cancel'] as const) {
    expect(decideTick({ ...TICK, overlap })).toEqual({ outcome: 'starting', cancelEarlier: false });
  }
});

test('a tick during an earlier run is skipped, waits, or cancels the run', () => {
  expect(outcomeOf({ busy: true })).toBe('skipped');
  expect(outcomeOf({ busy: true, overlap: 'queue' })).toBe('queued');
  expect(decideTick({ ...TICK, busy: true, overlap: 'cancel' })).toEqual({ outcome: 'starting', cancelEarlier: true });
});

test('only one tick waits at a time', () => {
  expect(outcomeOf({ busy: true, queued: true, overlap: 'queue' })).toBe('skipped');
  expect(outcomeOf({ queued: true, overlap: 'queue' })).toBe('skipped');
});

test('a tick that is too late is missed, unless catch-up is on', () => {
  expect(outcomeOf({ lateMs: MISSED_AFTER_MS })).toBe('starting');
  expect(outcomeOf({ lateMs: MISSED_AFTER_MS + 1 })).toBe('missed');
  expect(outcomeOf({ lateMs: MISSED_AFTER_MS + 1, catchUp: true })).toBe('starting');
  expect(outcomeOf({ lateMs: MISSED_AFTER_MS + 1, catchUp: true, busy: true })).toBe('skipped');
});
