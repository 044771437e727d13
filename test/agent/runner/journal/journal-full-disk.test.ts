/** The journal on a small disk, which is simulated: it accepts a part of a write that does not fit, and refuses the rest. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { startClock } from '../../../../src/agent/runner/journal/clock.ts';
import { Journal } from '../../../../src/agent/runner/journal/journal.ts';
import { agentDirectory } from '../../../helpers/runner-process.ts';

const disk = vi.hoisted(() => ({ room: (): number => Number.POSITIVE_INFINITY }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const writevSync: typeof real.writevSync = (fd, buffers, at) => {
    const bytes = Buffer.concat(buffers as Buffer[]);
    const growth = Number(at) + bytes.length - real.fstatSync(fd).size;
    const room = growth <= 0 ? bytes.length : disk.room();
    if (room >= bytes.length) return real.writevSync(fd, buffers, at);
    if (room <= 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    return real.writevSync(fd, [bytes.subarray(0, room)], at);
  };
  return { ...real, writevSync };
});
afterEach(() => {
  disk.room = () => Number.POSITIVE_INFINITY;
});

const CAPACITY = 1 << 20;
const files = (directory: string) => readdirSync(directory).map((name) => join(directory, name));
const used = (directory: string) => files(directory).reduce((sum, path) => sum + statSync(path).size, 0);

function smallDisk() {
  const directory = join(agentDirectory(), 'journal');
  const open = () => new Journal({ directory, clock: startClock(), segmentBytes: 8 << 20 });
  const journal = open();
  disk.room = () => CAPACITY - used(directory);
  return { directory, journal, open };
}

test('a disk that is smaller than a segment does not stop the journal while its records are acknowledged', () => {
  const { directory, journal, open } = smallDisk();
  const waiting = journal.accept('waiting', 1);
  const log = journal.accept('printing', 2);
  for (let round = 1; round <= 100; round += 1) {
    journal.report(log, 'stdout', Buffer.alloc(60_000, 'x'));
    journal.flush();
    journal.acknowledge(log, round);
  }
  expect([log.tally.stdout_bytes, used(directory) <= CAPACITY]).toEqual([6_000_000, true]);
  journal.report(waiting, 'stdout', Buffer.from('kept'));
  journal.flush();
  journal.close();
  const next = open();
  expect(next.logs.get('waiting')).toMatchObject({ accepted: true, dispatchNumber: 1, reported: 1 });
  expect(next.logs.get('printing')?.tally).toMatchObject({ reported: 100, stdout_bytes: 6_000_000 });
  next.close();
});

test('records that are not acknowledged are kept on a full disk', () => {
  const { directory, journal, open } = smallDisk();
  const log = journal.accept('printing', 1);
  for (let count = 0; count < 40; count += 1) journal.report(log, 'stdout', Buffer.alloc(60_000, 'x'));
  expect(() => journal.flush()).toThrow('no space');
  // A part was written, and the next attempts keep it.
  expect(() => journal.flush()).toThrow('no space');
  expect(log.tally.reported).toBeGreaterThan(0);
  expect(files(directory)).toHaveLength(1);
  expect(() => journal.read(log, 1)).not.toThrow();
  let attempts = 0;
  for (; log.tally.reported < 40 && attempts < 10; attempts += 1) {
    journal.acknowledge(log, log.tally.reported);
    try {
      journal.flush();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
  expect(attempts).toBeLessThan(10);
  expect(log.tally).toMatchObject({ reported: 40, stdout_bytes: 2_400_000 });
  journal.close();
  open().close();
});

test('a full disk has no room for another segment: the acknowledged one is reduced in place', () => {
  const { directory, journal, open } = smallDisk();
  const log = journal.accept('a', 1);
  journal.report(log, 'stdout', Buffer.alloc(60_000, 'x'));
  journal.report(log, 'stdout', Buffer.alloc(60_000, 'x'));
  journal.flush();
  disk.room = () => 0;
  journal.report(log, 'stdout', Buffer.from('next'));
  expect(() => journal.flush()).toThrow('no space');
  journal.acknowledge(log, 2);
  disk.room = () => 120_000 - used(directory);
  journal.flush();
  expect(files(directory)).toHaveLength(1);
  expect(used(directory)).toBeLessThan(1000);
  journal.close();
  const next = open();
  expect(next.logs.get('a')).toMatchObject({ accepted: true, reported: 3, tally: { stdout_bytes: 120_004 } });
  next.close();
});

test('the part of a write that a full disk has accepted is cut off', () => {
  const { directory, journal } = smallDisk();
  const log = journal.accept('a', 1);
  journal.flush();
  const before = used(directory);
  disk.room = () => before + 100 - used(directory);
  journal.report(log, 'stdout', Buffer.alloc(1000, 'x'));
  expect(() => journal.flush()).toThrow('no space');
  expect(used(directory)).toBe(before);
  disk.room = () => Number.POSITIVE_INFINITY;
  journal.flush();
  expect(readFileSync(String(files(directory)[0])).includes('x'.repeat(1000))).toBe(true);
  journal.close();
});
