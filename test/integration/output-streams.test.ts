/** output_mode "stream" (contract-files.md): output of any size is exact despite broken connections, with limited memory and disk. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import type { WireEvent } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';
import { StreamReader } from '../helpers/stream-reader.ts';

const MIB = 1024 * 1024;
const BUFFER_BYTES = 262_144;
/** The number of bytes by which a command and its agent may exceed the limit: in pipes, and being read. */
const AHEAD_BYTES = 2 * MIB;
const sh = (line: string) => ({ command: ['/bin/sh', '-c', line], output_mode: 'stream' as const });
const LINES = 'seq 1 4000000';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_STREAM_BUFFER_BYTES: String(BUFFER_BYTES) } });
});
afterAll(() => deployment.dispose());

/** Runs `command` in the test and returns its output. */
function printedHere(command: string): { bytes: number; sha256: string } {
  const [sha256 = '', bytes = '0'] = execFileSync('/bin/sh', ['-c', `${command} | sha256sum; ${command} | wc -c`])
    .toString()
    .split(/\s+-?\s*/);
  return { bytes: Number(bytes), sha256 };
}

function sizeOf(directory: string): number {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce(
    (sum, file) => sum + (statSync(join(file.parentPath, file.name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

describe('a command that prints more than the cap of kept output', () => {
  test('is read completely, and takes little space on the server and on the machine', async () => {
    const expected = printedHere(LINES);
    const { execution_id: id } = await deployment.machine.create(sh(LINES));
    const reader = new StreamReader(deployment.machine, id);
    await reader.read();
    expect({ bytes: reader.offset, sha256: reader.sha256 }).toEqual(expected);
    const ended = await deployment.machine.ended(id);
    expect(ended).toMatchObject({ status: 'succeeded', stdout_bytes: expected.bytes, stdout_truncated: false });
    expect(expected.bytes).toBeGreaterThan(29 * MIB);
    expect(sizeOf(deployment.server.dataDir)).toBeLessThan(24 * MIB);
    expect(sizeOf(join(deployment.agent.dir, 'journal'))).toBeLessThan(24 * MIB);
    await reader.release();
    const log = await deployment.machine.events(id);
    expect(log.map(({ type, status }) => [type, status])).toEqual([
      ['lifecycle', 'queued'],
      ['lifecycle', 'running'],
      ['lifecycle', 'succeeded'],
    ]);
  });

  test('waits while nobody reads, and continues at the same byte', async () => {
    const { execution_id: id } = await deployment.machine.create(sh('seq 1 400000; echo done >&2'));
    await until(
      'the buffer is full',
      async () => ((await deployment.machine.read(id)).stdout_bytes ?? 0) >= BUFFER_BYTES,
    );
    const waiting = await deployment.machine.read(id, { wait_ms: 1000 });
    expect(waiting.status).toBe('running');
    expect(waiting.stdout_bytes).toBeLessThan(BUFFER_BYTES + AHEAD_BYTES);
    expect(await deployment.machine.raw(id, 'stderr')).toHaveLength(0);
    const reader = new StreamReader(deployment.machine, id);
    await reader.read();
    expect({ bytes: reader.offset, sha256: reader.sha256 }).toEqual(printedHere('seq 1 400000'));
    expect((await deployment.machine.raw(id, 'stderr')).toString()).toBe('done\n');
  });

  test('can be cancelled while it waits, and its unread output is kept', async () => {
    const { execution_id: id } = await deployment.machine.create(sh('yes'));
    await until(
      'the buffer is full',
      async () => ((await deployment.machine.read(id)).stdout_bytes ?? 0) >= BUFFER_BYTES,
    );
    const cancelled = await deployment.machine.cancel(id, { wait_ms: 30_000 });
    expect(cancelled).toMatchObject({ status: 'cancelled', signal: 15 });
    const unread = await deployment.machine.raw(id);
    expect(unread.length).toBe(cancelled.stdout_bytes);
    expect(unread.toString()).toMatch(/^(y\n)+y?$/);
  });
});

test('released output gets 416, and the rest can be read again from any offset', async () => {
  const { execution_id: id } = await deployment.machine.create(sh('printf 0123456789; sleep 600'));
  const path = deployment.machine.at(id, '/output/stdout');
  await until('it has printed', async () => (await deployment.machine.read(id)).stdout_bytes === 10);
  const released = await deployment.client.get(path, { offset: 4, release: true });
  expect([released.status, released.bytes.toString()]).toEqual([200, '456789']);
  expect((await deployment.client.get(path, { offset: 7 })).bytes.toString()).toBe('789');
  expect((await deployment.client.get(path, {}, { range: 'bytes=5-6' })).bytes.toString()).toBe('56');
  expect((await deployment.client.get(path)).bytes.toString()).toBe('456789');
  const gone = [
    await deployment.client.get(path, { offset: 3 }),
    await deployment.client.get(path, { offset: 3, follow: true }),
  ];
  expect(gone.map(({ status }) => status)).toEqual([416, 416]);
  expect((await deployment.client.get(path, { offset: 11, release: true })).status).toBe(416);
  expect((await deployment.client.get(path, { offset: 2, release: true })).status).toBe(416);
  expect((await deployment.client.get(path, { release: true })).status).toBe(422);
  const key = await deployment.client.ask<{ key: string }>('POST', '/v1/api-keys', {
    body: { name: 'reader', scopes: ['executions:read'] },
  });
  const reader = deployment.client.with(key.key);
  expect((await reader.get(path, { offset: 5, release: true })).status).toBe(403);
  expect((await reader.get(path, { offset: 5 })).bytes.toString()).toBe('56789');
  await deployment.machine.cancel(id, { wait_ms: 20_000 });
  expect(await deployment.machine.output(id)).toMatchObject({
    stdout: '456789',
    stdout_bytes: 10,
    stdout_truncated: false,
  });
  const kept = await deployment.machine.sh('echo kept');
  const refused = await deployment.client.get(deployment.machine.at(kept.execution_id, '/output/stdout'), {
    offset: 1,
    release: true,
  });
  expect(refused).toMatchObject({ status: 409, json: { error_code: 'INVALID_STATE' } });
});

test('all output arrives although the link and the server are killed and the reader disconnects', async () => {
  const expected = printedHere(LINES);
  const { execution_id: id } = await deployment.machine.create(sh(LINES));
  const reader = new StreamReader(deployment.machine, id);
  await reader.read(1 * MIB);
  const reading = reader.read();
  for (const cut of [
    () => deployment.agent.killLink().then(() => deployment.agent.restart()),
    () => deployment.server.kill().then(() => deployment.server.restart()),
    () => deployment.server.stop().then(() => deployment.server.restart()),
    () => deployment.agent.detach().then(() => deployment.agent.restart()),
  ]) {
    const before = reader.offset;
    await cut();
    await until('the output goes on', async () => reader.offset > before + MIB, 60_000);
  }
  await reading;
  expect({ bytes: reader.offset, sha256: reader.sha256 }).toEqual(expected);
  expect(reader.cuts).toBeGreaterThan(0);
  expect(await deployment.machine.ended(id)).toMatchObject({ status: 'succeeded', stdout_bytes: expected.bytes });
});

test('the client library releases a small buffer in time, and reads on exactly when server and link are killed together', async () => {
  const expected = printedHere(LINES);
  const { url, key } = deployment.server;
  const machine = new Execplane({ url, apiKey: key }).machine(deployment.agent.machineId);
  const { stdout } = await machine.start(['/bin/sh', '-c', LINES], { stdin: 'none', output: 'stream' });
  const hash = createHash('sha256');
  let bytes = 0;
  let killed = false;
  for await (const piece of stdout) {
    hash.update(piece);
    bytes += piece.length;
    if (killed || bytes < 3 * MIB) continue;
    killed = true;
    await Promise.all([deployment.server.kill(), deployment.agent.killLink()]);
    deployment.agent.restart();
    await deployment.server.restart();
  }
  expect({ bytes, sha256: hash.digest('hex') }).toEqual(expected);
});

test('a stream that nobody reads becomes bounded output, and its log says so', async () => {
  const idle = { EXECPLANE_STREAM_BUFFER_BYTES: String(BUFFER_BYTES), EXECPLANE_STREAM_IDLE_MS: '2000' };
  const forgotten = await Deployment.start({ server: idle });
  try {
    const { execution_id: id } = await forgotten.machine.create(sh('seq 1 1000000'));
    const ended = await forgotten.machine.ended(id);
    expect(ended).toMatchObject({ status: 'succeeded', stdout_bytes: 6_888_896, stdout_truncated: true });
    const kept = await forgotten.machine.raw(id);
    expect(kept.length).toBeGreaterThanOrEqual(BUFFER_BYTES);
    expect(kept.length).toBeLessThan(BUFFER_BYTES + AHEAD_BYTES);
    expect(kept.toString()).toMatch(/^1\n2\n3\n/);
    const told = (await forgotten.machine.events(id)).filter((event: WireEvent) => event.status === 'running');
    expect(told.at(-1)?.error_message).toContain('Nobody has read the output');
  } finally {
    await forgotten.dispose();
  }
});
