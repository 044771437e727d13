/** Decisions on the reports of one execution that the store's contract does not cover. */
import { describe, expect, test } from 'vitest';
import type { ExecutionRecord } from '../../../src/core/decisions/execution-draft.ts';
import { abandonOutput } from '../../../src/core/decisions/output-streams.ts';
import { applyReports } from '../../../src/core/decisions/reports.ts';
import { type RawRecord, REPORT_KIND } from '../../../src/core/report.ts';

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
  released: { stdout: 0, stderr: 0 },
  lastEventAt: 2,
  queuedBytes: 0,
};

function take(
  chunks: readonly Buffer[],
  terms: { maxOutputBytes?: number; streamBufferBytes?: number; maxEvents?: number },
  record = RECORD,
  others: readonly RawRecord[] = [],
) {
  const reports = chunks.map((payload, index) => ({
    kind: REPORT_KIND.stdout,
    executionId: 'a',
    number: index + 2,
    at: 3,
    payload,
  }));
  const artifacts = { now: 3, maxBytes: 0, roomBytes: 0, expiresAt: 0 };
  const common = { now: 3, clockOffsetMs: 0, maxOutputBytes: 1000, streamBufferBytes: 1000, artifacts, ...terms };
  return applyReports(record, { machineId: 'dm-one', reports: [...reports, ...others], terms: common });
}

test('the number of events is limited, with room for the end; the rest is counted', () => {
  const chunks = Array.from({ length: 10 }, () => Buffer.from('x'));
  const { outcome, reported, change } = take(chunks, { maxEvents: 6 });
  expect({ outcome, reported }).toEqual({ outcome: 'applied', reported: 11 });
  expect(change?.entries).toHaveLength(3);
  expect(change?.after.execution).toMatchObject({ lastSequence: 5, stdout: { bytes: 10, truncated: true } });
});

test('the end of a cut stream is kept once, before the end, and only if output is kept', () => {
  const tails = ['one', 'two', ''].map((text, index) => ({
    kind: REPORT_KIND.stdout_tail,
    executionId: 'a',
    number: index + 2,
    at: 3,
    payload: Buffer.from(text),
  }));
  const other = { kind: REPORT_KIND.stderr_tail, executionId: 'a', number: 5, at: 3, payload: Buffer.from('err') };
  const keep = take([], {}, RECORD, [...tails, other]);
  expect(keep).toMatchObject({ outcome: 'applied', reported: 5, change: { entries: [], streamed: [] } });
  expect(keep.change?.tails.map(({ stream, bytes }) => [stream, bytes.toString()])).toEqual([
    ['stdout', 'one'],
    ['stderr', 'err'],
  ]);
  const streamed = { ...RECORD, execution: { ...RECORD.execution, outputMode: 'stream' as const } };
  expect(take([], {}, streamed, tails)).toMatchObject({ reported: 4, change: { tails: [] } });
});

test('bytes that are not UTF-8 are cut exactly at the cap', () => {
  const { change } = take([Buffer.alloc(100, 0x80)], { maxOutputBytes: 50 });
  expect(change?.after).toMatchObject({ kept: { stdout: 50 }, execution: { stdout: { bytes: 100, truncated: true } } });
});

test('the given record is not changed', () => {
  const before = structuredClone(RECORD);
  take([Buffer.from('abc')], {});
  expect(RECORD).toEqual(before);
});

describe('output that is kept until it is read', () => {
  const MIB = 1024 * 1024;
  const chunk = Buffer.alloc(MIB, 'x');
  const streaming = { ...RECORD, execution: { ...RECORD.execution, outputMode: 'stream' as const } };

  test('is stored apart from the log, which has no event for it', () => {
    const { change } = take([Buffer.from('abc'), Buffer.from('de')], {}, streaming);
    expect(change?.entries).toEqual([]);
    expect(change?.streamed).toMatchObject([
      { stream: 'stdout', offset: 0, bytes: Buffer.from('abc') },
      { stream: 'stdout', offset: 3, bytes: Buffer.from('de') },
    ]);
    expect(change?.after).toMatchObject({ kept: { stdout: 5 }, execution: { lastSequence: 2, stdout: { bytes: 5 } } });
  });

  test('has no cap, but is limited if an agent exceeds its window', () => {
    const chunks = Array.from({ length: 24 }, () => chunk);
    const obedient = take(chunks, { maxOutputBytes: 10, streamBufferBytes: 4 * MIB }, streaming);
    expect(obedient.change?.after).toMatchObject({
      kept: { stdout: 24 * MIB },
      execution: { stdout: { truncated: false } },
    });
    const ignorant = take([...chunks, chunk], { streamBufferBytes: 4 * MIB }, streaming);
    expect(ignorant.change?.after).toMatchObject({
      kept: { stdout: 24 * MIB },
      execution: { stdout: { truncated: true } },
    });
  });

  test('is complete although a killed server did not write the last release, after which the command wrote a whole buffer', () => {
    const buffer = 18 * MIB;
    const chunks = Array.from({ length: (2 * buffer) / MIB + 1 }, () => chunk);
    const { change } = take(chunks, { streamBufferBytes: buffer }, streaming);
    expect(change?.after.execution.stdout).toEqual({ bytes: 37 * MIB, truncated: false });
  });

  test('can grow again after a release', () => {
    const read = { ...streaming, kept: { stdout: 20 * MIB, stderr: 0 }, released: { stdout: 20 * MIB, stderr: 0 } };
    const { change } = take([chunk], { streamBufferBytes: 4 * MIB }, read);
    expect(change?.after).toMatchObject({ kept: { stdout: 21 * MIB } });
  });

  test('is bounded once nobody reads it, and the log says so', () => {
    const change = abandonOutput({ ...streaming, kept: { stdout: 900, stderr: 0 } }, 7);
    expect(change.after.execution).toMatchObject({ outputMode: 'abandoned', status: 'running', lastSequence: 3 });
    expect(change.entries).toMatchObject([
      {
        sequence: 3,
        at: 7,
        type: 'lifecycle',
        status: 'running',
        errorMessage: expect.stringContaining('Nobody has read'),
      },
    ]);
    const later = take([Buffer.alloc(300, 'x')], {}, change.after);
    expect(later.change?.after).toMatchObject({
      kept: { stdout: 1000 },
      execution: { stdout: { bytes: 1200, truncated: true } },
    });
  });
});
