import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { startClock } from '../../../../src/agent/runner/journal/clock.ts';
import { Journal, type JournalOptions } from '../../../../src/agent/runner/journal/journal.ts';
import { ReportIndex } from '../../../../src/agent/runner/journal/report-index.ts';
import { Segment } from '../../../../src/agent/runner/journal/segment.ts';
import { decodeRecord } from '../../../../src/core/report.ts';
import { agentDirectory } from '../../../helpers/runner-process.ts';

const SMALL = { segmentBytes: 10_000, clock: startClock() };
const chunk = (fill: string, size = 1000) => Buffer.alloc(size, fill);

function journalIn(directory: string, options: Partial<JournalOptions> = {}): Journal {
  return new Journal({ directory: join(directory, 'journal'), ...SMALL, ...options });
}

function files(directory: string): string[] {
  return readdirSync(join(directory, 'journal'));
}

test('written records can be read back, by this journal and by the next one', () => {
  const directory = agentDirectory();
  const journal = journalIn(directory);
  const log = journal.accept('a', 1);
  for (let i = 0; i < 100; i++) journal.report(log, 'stdout', chunk(String.fromCharCode(65 + (i % 26))));
  expect(log.tally.reported).toBe(0);
  journal.flush();
  expect(log).toMatchObject({ accepted: true, tally: { reported: 100, stdout_bytes: 100_000 } });
  const read = (from: Journal) =>
    Array.from({ length: 100 }, (_, i) => {
      const decoded = decodeRecord(from.read(from.logs.get('a') ?? log, i + 1), 0);
      return decoded.ok ? decoded.record.payload.toString('utf8', 0, 1) : decoded.reason;
    }).join('');
  const expected = Array.from({ length: 100 }, (_, i) => String.fromCharCode(65 + (i % 26))).join('');
  expect(read(journal)).toBe(expected);
  expect(read(journal)).toBe(expected); // this time from the file
  journal.close();
  const next = journalIn(directory);
  expect(next.logs.get('a')).toMatchObject({ accepted: true, ended: false, reported: 100 });
  expect(read(next)).toBe(expected);
  next.close();
});

test('segments are removed when everything in them is acknowledged; live executions stay known', () => {
  const directory = agentDirectory();
  const journal = journalIn(directory);
  const live = journal.accept('live', 1);
  const other = journal.accept('other', 2);
  journal.report(live, 'stdout', chunk('x'));
  journal.flush();
  journal.acknowledge(live, 1);
  for (let i = 0; i < 100; i++) {
    journal.report(other, 'stdout', chunk('y'));
    journal.flush();
  }
  expect(files(directory).length).toBeGreaterThan(8);
  journal.acknowledge(other, 95);
  expect(files(directory).length).toBeLessThan(3);
  journal.close();
  const next = journalIn(directory);
  expect(next.logs.get('live')).toMatchObject({ accepted: true, reported: 1, tally: { stdout_bytes: 1000 } });
  const found = next.logs.get('other');
  expect(found?.tally).toMatchObject({ reported: 100, stdout_bytes: 100_000 });
  expect(found?.index.last).toBe(100);
  next.close();
});

test('a forgotten execution is unknown to the next journal too, and an empty journal leaves no file', () => {
  const directory = agentDirectory();
  const journal = journalIn(directory);
  for (const [id, end] of [
    ['ended', true],
    ['forgotten', false],
  ] as const) {
    const log = journal.accept(id, 1);
    journal.report(log, 'started', Buffer.from('{}'));
    if (end) journal.report(log, 'ended', Buffer.from('{}'));
    journal.flush();
    if (end) journal.acknowledge(log, 2);
    else journal.forget(log);
  }
  journal.flush();
  expect([...journal.logs]).toEqual([]);
  const next = journalIn(directory);
  expect([...next.logs]).toEqual([]);
  next.close();
  expect(files(directory)).toEqual([]);
});

test('a journal above its quota is full until acknowledgements free space; reports that are added meanwhile are kept', () => {
  const directory = agentDirectory();
  const journal = journalIn(directory, { quotaBytes: 50_000 });
  const log = journal.accept('a', 1);
  while (!journal.full) {
    journal.report(log, 'stdout', chunk('x'));
    journal.flush();
  }
  journal.report(log, 'ended', Buffer.from('{}'));
  journal.flush();
  const last = log.tally.reported;
  expect(last).toBeGreaterThan(20);
  journal.acknowledge(log, last - 10);
  expect(journal.full).toBe(false);
  expect(journal.read(log, last).length).toBeGreaterThan(0);
  journal.close();
});

test('files are readable only by their owner, and contain the records', () => {
  const directory = agentDirectory();
  const journal = journalIn(directory);
  journal.accept('a', 1);
  journal.flush();
  const path = join(directory, 'journal');
  expect(statSync(path).mode & 0o777).toBe(0o700);
  const file = join(path, files(directory)[0] ?? '');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file).includes('"dispatch_number":1')).toBe(true);
  journal.close();
});

test('a write that fails keeps everything, in order, for the next attempt', () => {
  const directory = agentDirectory();
  const written: number[] = [];
  const journal = journalIn(directory, { onReport: (log) => written.push(log.tally.reported) });
  const log = journal.accept('a', 1);
  journal.report(log, 'stdout', chunk('x'));
  vi.spyOn(Segment.prototype, 'append').mockImplementation(() => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  });
  expect(() => journal.flush()).toThrow('no space');
  journal.report(log, 'stdout', chunk('y'));
  expect(() => journal.flush()).toThrow('no space');
  expect(log.accepted).toBe(false);
  vi.restoreAllMocks();
  journal.flush();
  expect(log.accepted).toBe(true);
  expect(written).toEqual([1, 2]);
  journal.close();
  const next = journalIn(directory);
  expect(next.logs.get('a')).toMatchObject({ accepted: true, reported: 2 });
  next.close();
});

test('the index has contiguous numbers only', () => {
  const index = new ReportIndex();
  index.push(5, 100, 10);
  index.push(6, 110, 20);
  expect(() => index.push(8, 130, 1)).toThrow(RangeError);
  const dropped: number[] = [];
  index.dropThrough(5, (position) => dropped.push(position));
  expect([index.first, index.last, dropped]).toEqual([6, 6, [100]]);
  expect(index.at(6)).toEqual({ position: 110, length: 20 });
  expect(() => index.at(5)).toThrow(RangeError);
  index.dropThrough(99, () => {});
  expect([index.first, index.last]).toEqual([7, 6]);
});
