/** What is decided on the reports of one execution that a store's contract does not reach. */
import { expect, test } from 'vitest';
import type { ExecutionRecord } from '../../../src/core/decisions/execution-draft.ts';
import { takeReports } from '../../../src/core/decisions/reports.ts';
import { REPORT_KIND } from '../../../src/core/report.ts';

const RECORD: ExecutionRecord = {
  key: 1,
  machineKey: 1,
  execution: {
    executionId: 'a',
    machineId: 'dm-one',
    command: ['yes'],
    envKeys: [],
    stdinMode: 'none',
    createdBy: 'admin',
    status: 'running',
    createdAt: 1,
    expiresAt: 9,
    startedAt: 2,
    dispatchedTo: 'runner',
    stdout: { bytes: 0, truncated: false },
    stderr: { bytes: 0, truncated: false },
    lastSequence: 2,
    reported: 1,
  },
  kept: { stdout: 0, stderr: 0 },
  lastEventAt: 2,
  queuedBytes: 0,
};

function take(chunks: readonly Buffer[], terms: { maxOutputBytes?: number; maxEvents?: number }) {
  const reports = chunks.map((payload, index) => ({
    kind: REPORT_KIND.stdout,
    executionId: 'a',
    number: index + 2,
    at: 3,
    payload,
  }));
  const common = { now: 3, clockOffsetMs: 0, maxOutputBytes: 1000, ...terms };
  return takeReports(RECORD, { machineId: 'dm-one', reports, terms: common });
}

test('events are bounded, with room for the end; the rest is counted', () => {
  const chunks = Array.from({ length: 10 }, () => Buffer.from('x'));
  const { outcome, reported, change } = take(chunks, { maxEvents: 6 });
  expect({ outcome, reported }).toEqual({ outcome: 'applied', reported: 11 });
  expect(change?.entries).toHaveLength(3);
  expect(change?.after.execution).toMatchObject({ lastSequence: 5, stdout: { bytes: 10, truncated: true } });
});

test('bytes that are no UTF-8 are cut at the cap itself', () => {
  const { change } = take([Buffer.alloc(100, 0x80)], { maxOutputBytes: 50 });
  expect(change?.after).toMatchObject({ kept: { stdout: 50 }, execution: { stdout: { bytes: 100, truncated: true } } });
});

test('the record that was decided on is not changed', () => {
  const before = structuredClone(RECORD);
  take([Buffer.from('abc')], {});
  expect(RECORD).toEqual(before);
});
