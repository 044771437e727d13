import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextBatchStep } from '../../../src/core/decisions/batch.ts';

const NONE = { pending: 0, unfinished: 0, succeeded: 0, failed: 0 };

test.each([
  ['starts as many as max_concurrency allows', { ...NONE, pending: 5 }, {}, { start: 2, cancelRest: false }],
  ['fills the free places', { ...NONE, pending: 5, unfinished: 1 }, {}, { start: 1, cancelRest: false }],
  ['waits for the last ones', { ...NONE, unfinished: 2, succeeded: 3 }, {}, { start: 0, cancelRest: false }],
  ['succeeds if all succeeded', { ...NONE, succeeded: 3 }, {}, { start: 0, cancelRest: false, end: 'succeeded' }],
  ['fails if one failed', { ...NONE, succeeded: 2, failed: 1 }, {}, { start: 0, cancelRest: false, end: 'failed' }],
  [
    'tolerates as many failures as max_failures',
    { ...NONE, pending: 2, failed: 1 },
    { maxFailures: 1 },
    { start: 2, cancelRest: false },
  ],
  [
    'starts no more after one failure too many',
    { ...NONE, pending: 2, unfinished: 1, failed: 2 },
    { maxFailures: 1 },
    { start: 0, cancelRest: true },
  ],
  [
    'fails when the running executions have ended',
    { ...NONE, pending: 2, failed: 1 },
    { maxFailures: 0 },
    { start: 0, cancelRest: true, end: 'failed' },
  ],
  [
    'waits for the executions that it cancels',
    { ...NONE, pending: 2, unfinished: 1 },
    { cancelled: true },
    { start: 0, cancelRest: true },
  ],
  [
    'is cancelled when nothing runs',
    { ...NONE, pending: 2, succeeded: 1 },
    { cancelled: true },
    { start: 0, cancelRest: true, end: 'cancelled' },
  ],
] as const)('%s', (_name, progress, limits, expected) => {
  expect(nextBatchStep(progress, { maxConcurrency: 2, cancelled: false, ...limits })).toEqual(expected);
});

test('a batch never runs more at once than it may, and ends only when nothing is left', () => {
  const count = fc.nat({ max: 20 });
  const progress = fc.record({ pending: count, unfinished: count, succeeded: count, failed: count });
  const limits = fc.record({
    maxConcurrency: fc.integer({ min: 1, max: 9 }),
    maxFailures: count,
    cancelled: fc.boolean(),
  });
  fc.assert(
    fc.property(progress, limits, (now, within) => {
      const { start, end, cancelRest } = nextBatchStep(now, within);
      expect(start).toBeLessThanOrEqual(Math.max(0, within.maxConcurrency - now.unfinished));
      expect(start).toBeLessThanOrEqual(now.pending);
      expect(end !== undefined).toBe(now.unfinished === 0 && (now.pending === 0 || cancelRest));
    }),
  );
});
