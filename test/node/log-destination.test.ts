import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, createReadStream, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogDestination } from '../../src/node/log-destination.ts';

const LOG_WRITER = fileURLToPath(new URL('../fixtures/log-writer.ts', import.meta.url));
/** Three times the number of bytes that are buffered for a reader. */
const LINES = 3_000;

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-log-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

interface Line {
  level: number;
  msg: string;
  dropped_lines?: number;
}

/** Child processes of Node.js get sockets, those of a shell get pipes. */
const STDERR_OF: Record<string, () => { stdio: 'pipe' | number; reader: (child: ChildProcess) => Readable }> = {
  socket: () => ({
    stdio: 'pipe',
    reader: ({ stderr }) => {
      if (stderr === null) throw new Error('no stderr');
      return stderr;
    },
  }),
  pipe: () => {
    const path = join(dir, 'stderr');
    execFileSync('mkfifo', [path]);
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writing = openSync(path, constants.O_WRONLY);
    return {
      stdio: writing,
      reader: () => {
        closeSync(writing);
        const blocking = openSync(`/proc/self/fd/${reading}`, constants.O_RDONLY);
        closeSync(reading);
        return createReadStream('', { fd: blocking });
      },
    };
  },
};

test.each(Object.keys(STDERR_OF))('a full stderr %s blocks nothing: lines are dropped and counted', async (kind) => {
  const stderr = STDERR_OF[kind]?.();
  if (stderr === undefined) throw new Error(kind);
  const child = spawn(process.execPath, [LOG_WRITER, `${LINES}`], { stdio: ['pipe', 'pipe', stderr.stdio] });
  const exit = once(child, 'exit');
  await once(child.stdout as Readable, 'data');
  const read = text(stderr.reader(child));
  child.stdin?.end();
  expect(await exit).toStrictEqual([0, null]);
  const lines = (await read)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const dropped = lines.reduce((sum, line) => sum + (line.dropped_lines ?? 0), 0);
  const logged = lines.filter((line) => line.dropped_lines === undefined);
  expect(dropped).toBeGreaterThan(LINES / 3);
  expect(logged.length + dropped).toBe(LINES + 1);
  expect(logged[0]?.msg).toMatch(/^1 x/);
});

test('a reader that never reads delays the exit only by the flush', async () => {
  const child = spawn(process.execPath, [LOG_WRITER, `${LINES}`], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  child.stdin.end();
  expect(await exit).toStrictEqual([0, null]);
  child.stderr.destroy();
});

test('control and direction characters are escaped, and the JSON keeps its value', () => {
  const path = join(dir, 'log');
  const fd = openSync(path, 'w');
  const destination = new LogDestination({ fd });
  const msg = 'C1 \u009b2J, \u202egnp.exe, \u2066isolate\u2069, delete \u007f, é and 漢 stay';
  destination.write(`${JSON.stringify({ msg })}\n`);
  destination.close();
  closeSync(fd);
  const written = readFileSync(path, 'utf8');
  expect(written).toContain(String.raw`C1 \u009b2J, \u202egnp.exe, \u2066isolate\u2069, delete \u007f, é and 漢 stay`);
  expect(JSON.parse(written)).toStrictEqual({ msg });
});
