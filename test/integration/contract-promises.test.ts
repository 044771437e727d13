/** Contract §5.4 to 5.7: slow readers, floods, secrets, retries. Fault matrix 39, 46, 49. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireExecution, WireProblem } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({
    server: { EXECPLANE_MAX_OUTPUT_BYTES: '67108864', EXECPLANE_LOG_LEVEL: 'debug' },
    agent: { EXECPLANE_LOG_LEVEL: 'debug' },
  });
});
afterAll(() => deployment.dispose());

describe('5.7 retries are safe', () => {
  const post = (key: string, body: unknown, query = {}) =>
    deployment.client.request<WireExecution & Pick<WireProblem, 'retryable'>>('POST', deployment.machine.path, {
      body,
      query,
      headers: { 'idempotency-key': key, ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}) },
    });

  test('the same request again returns the same execution in its present state with idempotency-replayed: true, and starts nothing', async () => {
    const body = { command: ['/bin/echo', 'once'], env: { A: '1' } };
    const first = await post('again', body);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    await deployment.machine.ended(first.json.execution_id);
    const again = await post('again', body);
    expect(again.status).toBe(200);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.json).toEqual(await deployment.machine.read(first.json.execution_id));
  });

  test('a hundred identical requests at once create one execution', async () => {
    const before = (await deployment.client.get<{ items: unknown[] }>(deployment.machine.path, { limit: 500 })).json
      .items.length;
    const answers = await Promise.all(Array.from({ length: 100 }, () => post('hundred', { command: ['/bin/true'] })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ json }) => json.execution_id)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length).toBe(1);
    const after = (await deployment.client.get<{ items: unknown[] }>(deployment.machine.path, { limit: 500 })).json
      .items.length;
    expect(after).toBe(before + 1);
  });

  test('bodies are compared as JSON values: order, spacing and the query string do not matter', async () => {
    const first = await post('values', '{"command":["/bin/true"],"env":{"A":"1","B":"2"}}');
    const again = await post('values', ' { "env" : {"B":"2", "A":"1"},\n"command": [ "/bin/true" ] } ', { wait_ms: 5 });
    expect(again.json.execution_id).toBe(first.json.execution_id);
  });

  test('another body with the same key gets 409 IDEMPOTENCY_KEY_REUSED, not retryable', async () => {
    await post('reused', { command: ['/bin/true'] });
    const other = await post('reused', { command: ['/bin/false'] });
    expect(other.status).toBe(409);
    expect(other.json).toMatchObject({ error_code: 'IDEMPOTENCY_KEY_REUSED', retryable: false });
    expect(other.headers.get('x-should-retry')).toBe('false');
  });

  test('another path or method with the same key gets 409', async () => {
    const first = await post('elsewhere', { command: ['/bin/true'] });
    const answer = await deployment.client.request('DELETE', deployment.machine.at(first.json.execution_id), {
      headers: { 'idempotency-key': 'elsewhere' },
    });
    expect(answer.status).toBe(409);
  });

  test('each API key has its own idempotency keys', async () => {
    const first = await post('mine', { command: ['/bin/true'] });
    const { key } = await deployment.client.ask<{ key: string }>('POST', '/v1/api-keys', {
      body: { name: 'b', scopes: ['executions:write'] },
    });
    const other = await deployment.client.with(key).request<WireExecution>('POST', deployment.machine.path, {
      body: { command: ['/bin/false'] },
      headers: { 'idempotency-key': 'mine' },
    });
    expect(other.status).toBe(200);
    expect(other.json.execution_id).not.toBe(first.json.execution_id);
  });

  test('a refused request does not use up its key', async () => {
    expect((await post('refused', { command: [] })).status).toBe(422);
    expect((await post('refused', { command: ['/bin/true'] })).status).toBe(200);
  });

  test('DELETE is replayed too, with Content-Type: application/json and no body', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sleep', '600'] });
    const cancel = () =>
      deployment.client.request<WireExecution>('DELETE', deployment.machine.at(execution_id), {
        headers: { 'idempotency-key': 'cancel-it', 'content-type': 'application/json' },
      });
    expect((await cancel()).status).toBe(200);
    await deployment.machine.ended(execution_id);
    const again = await cancel();
    expect([again.status, again.json.status]).toEqual([200, 'cancelled']);
  });

  test.each([
    ['an empty one', ''],
    ['256 characters', 'x'.repeat(256)],
    ['a space', 'a b'],
    ['beyond ASCII', 'caf\u00e9'],
  ])('%s is not a valid key: 422 or 400', async (_, key) => {
    expect((await post(key, { command: ['/bin/true'] })).status).toBeOneOf([400, 422]);
  });

  test('255 visible ASCII characters are a valid key', async () => {
    expect((await post('~'.repeat(255), { command: ['/bin/true'] })).status).toBe(200);
  });
});

describe('5.6 secrets do not linger', () => {
  const SECRET = `s3cr3t-${Math.random().toString(36).slice(2)}-value`;
  const inFiles = (dir: string, text: string): string[] =>
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => readFileSync(file).includes(text));

  test('env values and stdin are in no file while an execution waits, while it runs and after its end, and in no log', async () => {
    await deployment.joinToken({ machine_id: 'dm-waiting' });
    const input = { env: { TOKEN: `${SECRET}-env` }, stdin: `${SECRET}-stdin`.repeat(20) };
    const waiting = await deployment.client.machine('dm-waiting').create({ command: ['/bin/cat'], ...input });
    const running = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
      ...input,
    });
    await deployment.machine.printed(running.execution_id, 'ready');
    await deployment.machine.sh('cat > /dev/null; exit 3', input);
    const dirs = [deployment.server.dataDir, deployment.agent.dir];
    expect(dirs.flatMap((dir) => inFiles(dir, SECRET))).toEqual([]);
    await deployment.machine.cancel(running.execution_id, { wait_ms: 20_000 });
    await deployment.client.machine('dm-waiting').cancel(waiting.execution_id);
    expect(dirs.flatMap((dir) => inFiles(dir, SECRET))).toEqual([]);
    expect(deployment.server.log + deployment.agent.log).not.toContain(SECRET);
    expect((await deployment.client.get('/v1/audit', { limit: 500 })).bytes.toString()).not.toContain(SECRET);
    expect((await deployment.client.get('/metrics')).bytes.toString()).not.toContain(SECRET);
  });

  test('keys and tokens are stored as hashes, and no log contains them', async () => {
    const token = await deployment.joinToken();
    const { key } = await deployment.client.ask<{ key: string }>('POST', '/v1/api-keys', {
      body: { name: 'hashed', scopes: ['admin'] },
    });
    await deployment.client.with(key).get('/v1/machines');
    for (const secret of [token, key, deployment.server.key]) {
      expect(inFiles(deployment.server.dataDir, secret)).toEqual([]);
      expect(deployment.server.log + deployment.agent.log).not.toContain(secret);
    }
  });

  test('files with secrets are readable only by their owner', async () => {
    const loose = [deployment.server.dataDir, deployment.agent.dir].flatMap((dir) =>
      readdirSync(dir, { withFileTypes: true })
        .map((entry) => join(dir, entry.name))
        .filter((path) => (statSync(path).mode & 0o077) !== 0 && !statSync(dir).mode.toString(8).endsWith('700')),
    );
    expect(loose).toEqual([]);
  });
});

describe('5.4, 5.5 slow readers and floods', () => {
  const rssMb = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

  test('a client that stops reading a stream delays no command and no other client', async () => {
    const flood = await deployment.machine.create({ command: ['/bin/sh', '-c', 'head -c 30000000 /dev/zero'] });
    const path = deployment.machine.at(flood.execution_id, '/events?encoding=base64');
    const stuck = Array.from({ length: 5 }, () => {
      const socket = connect(deployment.server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer ${deployment.server.key}\r\n\r\n`,
      );
      return socket.pause();
    });
    try {
      expect(await deployment.machine.ended(flood.execution_id)).toMatchObject({
        status: 'succeeded',
        stdout_bytes: 30_000_000,
      });
      expect(await deployment.machine.run({ command: ['/bin/true'] })).toMatchObject({ status: 'succeeded' });
      expect(rssMb(deployment.server.process.pid)).toBeLessThan(500);
    } finally {
      for (const socket of stuck) socket.destroy();
    }
  });

  test('a command that prints without end keeps server and agent within a fixed memory budget', async () => {
    const floods = await Promise.all(Array.from({ length: 2 }, () => deployment.machine.create({ command: ['yes'] })));
    for (const { execution_id } of floods) {
      let bytes = 0;
      while (bytes < 50_000_000)
        bytes = (await deployment.machine.read(execution_id, { wait_ms: 100 })).stdout_bytes ?? 0;
    }
    expect(rssMb(deployment.server.process.pid)).toBeLessThan(500);
    for (const pid of [deployment.agent.link.pid, ...deployment.agent.ownedPids()])
      expect(rssMb(pid)).toBeLessThan(300);
    await Promise.all(floods.map(({ execution_id }) => deployment.machine.cancel(execution_id, { wait_ms: 30_000 })));
  });

  test('a page of huge events is bounded, and following the cursors returns everything', async () => {
    const { execution_id } = await deployment.machine.sh('head -c 20000000 /dev/urandom');
    const page = await deployment.client.get<{ items: unknown[]; next_cursor?: string }>(
      deployment.machine.at(execution_id, '/events'),
      {
        limit: 1000,
        encoding: 'base64',
      },
    );
    expect(page.bytes.length).toBeLessThan(16 * 1024 * 1024);
    expect(page.json.next_cursor).toEqual(expect.any(String));
    const all = await deployment.machine.events(execution_id, { limit: 1000, encoding: 'base64' });
    const bytes = all.reduce((sum, { chunk }) => sum + Buffer.from(chunk ?? '', 'base64').length, 0);
    expect(bytes).toBe(20_000_000);
  });
});
