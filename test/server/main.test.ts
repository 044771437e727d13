import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { readServerConfig } from '../../src/server/config.ts';
import { type RunningServer, startServer } from '../../src/server/main.ts';

const silent = pino({ level: 'silent' });

async function inDirectory(work: (dataDir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-main-'));
  try {
    await work(join(dir, 'data'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function start(dataDir: string, flags: Record<string, string> = {}): Promise<RunningServer> {
  return startServer(readServerConfig({ dataDir, port: '0', ...flags }, {}), silent);
}

async function post(server: RunningServer, path: string, body: unknown) {
  const answer = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey.key, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Record<string, unknown>;
}

test('executions and the admin key are the same after a restart', async () => {
  await inDirectory(async (dataDir) => {
    const first = await start(dataDir);
    await post(first, '/v1/join-tokens', { machine_id: 'dm-a' });
    const created = await post(first, '/v1/machines/dm-a/executions', { command: ['true'] });
    expect(created).toMatchObject({ status: 'wake_in_progress' });
    await first.stop();
    const second = await start(dataDir);
    expect(second.adminKey).toStrictEqual(first.adminKey);
    const path = `${second.url}/v1/machines/dm-a/executions/${created['execution_id']}`;
    const found = await fetch(path, { headers: { 'x-api-key': first.adminKey.key } });
    expect(await found.json()).toStrictEqual(created);
    await second.stop();
  });
});

test('a stopping server answers waiting requests, ends streams, and accepts nothing new', async () => {
  await inDirectory(async (dataDir) => {
    const server = await start(dataDir);
    await post(server, '/v1/join-tokens', { machine_id: 'dm-a' });
    const created = await post(server, '/v1/machines/dm-a/executions', { command: ['true'] });
    const headers = { 'x-api-key': server.adminKey.key };
    const path = `${server.url}/v1/machines/dm-a/executions/${created['execution_id']}`;
    const stream = await fetch(`${path}/events`, { headers: { ...headers, accept: 'text/event-stream' } });
    const reader = stream.body?.getReader();
    await reader?.read();
    const waiting = post(server, '/v1/machines/dm-a/executions?wait_ms=50000', { command: ['sleep'] });
    await expect
      .poll(async () => {
        const list = await fetch(`${server.url}/v1/machines/dm-a/executions`, { headers });
        return ((await list.json()) as { items: unknown[] }).items.length;
      })
      .toBe(2);
    await Promise.all([server.stop(), server.stop()]);
    expect(await waiting).toMatchObject({ status: 'wake_in_progress', command: ['sleep'] });
    await expect(
      (async () => {
        while (!((await reader?.read())?.done ?? true));
        throw new Error('over');
      })(),
    ).rejects.toThrow();
    await expect(fetch(server.url)).rejects.toThrow();
  });
});

test('a port that is in use rejects the start, and leaves nothing open', async () => {
  await inDirectory(async (dataDir) => {
    const server = await start(dataDir);
    const { port } = new URL(server.url);
    await expect(start(`${dataDir}-2`, { port })).rejects.toThrow(/EADDRINUSE/);
    await server.stop();
    const again = await start(`${dataDir}-2`, { port, apiKey: 'xpk_a-key-of-this-test' });
    expect(again.adminKey).toStrictEqual({ key: 'xpk_a-key-of-this-test' });
    await again.stop();
    expect(existsSync(join(dataDir, 'admin.key'))).toBe(true);
  });
});

test.each([
  ['a file as the data directory', (dataDir: string) => writeFileSync(dataDir, ''), ''],
  ['a malformed database', garbage, 'execplane.db'],
  ['a database that is a directory', directoryAsDatabase, 'execplane.db'],
  ['a database that is a FIFO', fifoAsDatabase, 'execplane.db'],
])(
  '%s stops the start with exit code 2 and a message that names the setting and the file',
  async (_name, prepare, file) => {
    await inDirectory(async (dataDir) => {
      prepare(dataDir);
      if (file === '') chmodSync(dataDir, 0o600);
      const message = expect.stringMatching(new RegExp(`^EXECPLANE_DATA_DIR: ${join(dataDir, file)} `));
      await expect(start(dataDir)).rejects.toThrow(expect.objectContaining({ exitCode: 2, message }));
    });
  },
);

function garbage(dataDir: string): void {
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(join(dataDir, 'execplane.db'), 'not a database'.repeat(1000), { mode: 0o600 });
}

function fifoAsDatabase(dataDir: string): void {
  mkdirSync(dataDir, { mode: 0o700 });
  execFileSync('mkfifo', ['-m', '600', join(dataDir, 'execplane.db')]);
}

function directoryAsDatabase(dataDir: string): void {
  mkdirSync(join(dataDir, 'execplane.db'), { recursive: true, mode: 0o700 });
}
