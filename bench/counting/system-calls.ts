/** Counts the system calls of running processes with strace, which has to be installed (Debian's `strace`). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const STRACE = '/usr/bin/strace';
/** A page of the log follows its frame header of 24 bytes (https://sqlite.org/fileformat2.html#walformat). */
const WAL_FRAME_BYTES = 24 + 4096;

export interface Counts {
  systemCalls: number;
  /** `fdatasync` and `fsync`. */
  flushes: number;
  /** `fsync` alone, which also waits for the file's times. */
  fullFlushes: number;
  /** Bytes written to the write-ahead log. */
  logBytes: number;
  /** Pages written to the write-ahead log. */
  logPages: number;
}

/** Whether strace is installed. */
export function canCount(): boolean {
  return existsSync(STRACE);
}

/**
 * Runs `work` while the system calls of process `pid` are counted: those of its first thread, and with `threads` those of all its threads
 * and of its children. Throws if strace cannot attach.
 */
export async function counted(pid: number, threads: boolean, work: () => Promise<void>): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-counts-'));
  const file = join(folder, 'trace');
  try {
    const tracer = spawn(STRACE, [...(threads ? ['-f'] : []), '-y', '-s', '0', '-o', file, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(tracer, 'exit');
    await attached(tracer.stderr, ended);
    try {
      await work();
    } finally {
      tracer.kill('SIGINT');
      await ended;
    }
    return await readCounts(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until strace prints `Process N attached`. */
async function attached(stderr: NodeJS.ReadableStream, ended: Promise<unknown>): Promise<void> {
  const lines = createInterface({ input: stderr });
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    ended.then(() => 'strace ended'),
  ]);
  if (!first.includes('attached')) throw new Error(`strace cannot attach: ${first}`);
  lines.on('line', () => {});
}

async function readCounts(file: string): Promise<Counts> {
  const counts: Counts = { systemCalls: 0, flushes: 0, fullFlushes: 0, logBytes: 0, logPages: 0 };
  for await (const line of createInterface({ input: createReadStream(file) })) count(counts, line);
  return counts;
}

/** Parses one line of strace: `[PID ]call(arguments) = result`. An interrupted call ends in a line of its own (`resumed`). */
function count(counts: Counts, line: string): void {
  const [, call] = /^(?:\d+\s+)?(\w+)\(/.exec(line) ?? [];
  if (call === undefined) return;
  counts.systemCalls += 1;
  if (call === 'fdatasync' || call === 'fsync') counts.flushes += 1;
  if (call === 'fsync') counts.fullFlushes += 1;
  const [, bytes] = /^(?:\d+\s+)?pwrite64\(\d+<[^>]*-wal>, .*?, (\d+), \d+/.exec(line) ?? [];
  if (bytes === undefined) return;
  counts.logBytes += Number(bytes);
  counts.logPages = counts.logBytes / WAL_FRAME_BYTES;
}
