import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EVENT, encodeSignal, encodeSpawn, FrameReader } from '../../../../src/agent/runner/spawner/frames.ts';
import { until } from '../../../helpers/processes.ts';

const SIGTERM = 15;
const PIPE_BYTES = 65_536;
/** The limit of buffered bytes: four pipes, the spawner's buffers, and the socket to this process with the overhead of the kernel. */
const MAX_HELD_BYTES = 2_000_000;
const HANDLES = [1, 2, 3, 4];

const binary = fileURLToPath(
  new URL(`../../../../native/prebuilt/linux-${process.arch}/execplane-spawner`, import.meta.url),
);
const flood = {
  executionId: 'flood',
  argv: ['seq', '1', '100000000'],
  env: { PATH: '/usr/bin:/bin' },
  home: '/',
  stdin: 'none',
  keepBytes: 1e12,
  tailBytes: 0,
} as const;

const read = (path: string): string => readFileSync(path, 'utf8');
const number = (text: string, field: RegExp): number => Number(field.exec(text)?.[1] ?? Number.NaN);
const childrenOf = (pid: number): number[] =>
  (read(`/proc/${pid}/task/${pid}/children`).match(/\d+/g) ?? []).map(Number);
const writtenBy = (pid: number): number => number(read(`/proc/${pid}/io`), /wchar: (\d+)/);
const residentKiB = (pid: number): number => number(read(`/proc/${pid}/status`), /VmRSS:\s+(\d+)/);

/** Waits until each command has filled its pipe and is blocked. */
async function stuck(pid: number): Promise<void> {
  let last: number[] = [];
  await until('all floods are held up', () => {
    const written = childrenOf(pid).map(writtenBy);
    const same = written.every((bytes, i) => bytes >= PIPE_BYTES && bytes === last[i]);
    last = written;
    return same && written.length === HANDLES.length;
  });
}

describe.runIf(process.platform === 'linux')('a runner that does not read', () => {
  test('makes the writers wait, costs no memory, and loses nothing', async () => {
    const program = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'], env: {} });
    onTestFinished(() => void program.kill('SIGKILL'));
    const pid = program.pid ?? 0;
    for (const handle of HANDLES) program.stdin.write(encodeSpawn({ ...flood, handle }, ''));
    await stuck(pid);
    expect(residentKiB(pid)).toBeLessThan(8000);

    // Commands still work; only their events wait.
    for (const handle of HANDLES) program.stdin.write(encodeSignal(handle, SIGTERM));
    await until('all floods are gone', () => childrenOf(pid).length === 0);

    const output = new Map<number, Buffer[]>(HANDLES.map((handle) => [handle, []]));
    const ends = new Map<number, Buffer>();
    const reader = new FrameReader();
    program.stdout.on('data', (chunk: Buffer) =>
      reader.push(chunk, ({ op, handle, payload }) => {
        if (op === EVENT.stdout) output.get(handle)?.push(payload);
        if (op === EVENT.exited) ends.set(handle, payload);
      }),
    );
    await until('all have ended', () => ends.size === HANDLES.length);
    program.stdin.end();
    await once(program, 'exit');

    let total = 0;
    for (const [handle, end] of ends) {
      const bytes = Buffer.concat(output.get(handle) ?? []);
      total += bytes.length;
      expect([end[0], end.readUInt32LE(1), Number(end.readBigUInt64LE(5))]).toEqual([1, SIGTERM, bytes.length]);
      expect(bytes.length).toBeGreaterThanOrEqual(PIPE_BYTES);
      const lines = bytes.toString('latin1').split('\n').slice(0, -1);
      expect(lines.findIndex((line, i) => line !== String(i + 1))).toBe(-1);
    }
    expect(total).toBeLessThan(MAX_HELD_BYTES);
  });
});
