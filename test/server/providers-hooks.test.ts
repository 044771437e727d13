/** Hooks that answer, fail, hang, print too much, answer falsely or are killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ProviderRequest } from '../../src/server/control/lifecycle/provider.ts';
import { runCommandHook } from '../../src/server/providers/command-hook.ts';
import { runHttpHook } from '../../src/server/providers/http-hook.ts';
import { signedHeaders } from '../../src/server/operations/webhooks/signature.ts';
import { readProviders } from '../../src/server/providers/providers-file.ts';
import { temporaryDirectory } from '../helpers/directories.ts';
import { processesWith } from '../helpers/processes.ts';

const LIVING = new AbortController().signal;
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
let made = 0;

function request(): ProviderRequest {
  made += 1;
  return {
    version: 1,
    operation: 'create',
    operation_id: `dm-${process.pid}-${made}.1`,
    attempt: 1,
    server_url: 'http://127.0.0.1:7411',
    machine: { machine_id: 'dm-one', vcpu: 1, memory_mib: 2, storage_gib: 3, labels: {}, attributes: { image: 'x' } },
    join_token: 'xpj_t',
  };
}

function run(
  script: string,
  p: { timeoutMs?: number; signal?: AbortSignal; request?: ProviderRequest; env?: Record<string, string> } = {},
) {
  const hook = {
    command: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin', ONLY: 'this', ...p.env },
    timeoutMs: p.timeoutMs ?? 30_000,
  };
  return runCommandHook(hook, p.request ?? request(), p.signal ?? LIVING);
}

test('a command gets the request on one line of its stdin, and answers on the last line of its stdout', async () => {
  const asked = request();
  const script = `read -r line; [ "$line" = '${JSON.stringify(asked)}' ] || exit 1
    echo noise; echo '{"ok": true, "state": "pending", "provider_ref": "r-1", "expected_ms": 5, "more": 1}'`;
  expect(await run(script, { request: asked })).toEqual({
    ok: true,
    state: 'pending',
    providerRef: 'r-1',
    expectedMs: 5,
  });
});

test("a command gets none of the server's environment, only its own settings", async () => {
  const answer = await run(`message=$(env | cut -d= -f1 | sort | tr '\\n' ' ')
    printf '{"ok": false, "message": "%s", "retryable": false}' "$message"`);
  expect(answer).toMatchObject({ ok: false, message: 'EXECPLANE_OPERATION_ID ONLY PATH PWD' });
});

test('an answer counts whatever the exit code is', async () => {
  const failed = `echo '{"ok": false, "error_code": "no_quota", "message": "none", "retryable": true}'; exit 1`;
  expect(await run(failed)).toEqual({ ok: false, message: 'no_quota: none', retryable: true });
});

test.each([
  [
    'exit 75 is a temporary error',
    'echo busy >&2; exit 75',
    true,
    'the hook exited with code 75 without an answer: busy',
  ],
  ['any other exit code is a permanent error', 'exit 3', false, 'the hook exited with code 3 without an answer'],
  [
    'exit 0 without an answer is a permanent error',
    'echo hello',
    false,
    'the hook exited with code 0 without an answer',
  ],
  ['a signal is a temporary error', 'kill -9 $$', true, 'the hook was ended by SIGKILL without an answer'],
  [
    'an unknown state is refused',
    `echo '{"ok": true, "state": "asleep"}'`,
    false,
    'the hook exited with code 0 without an answer',
  ],
])('%s', async (_name, script, retryable, message) => {
  expect(await run(script)).toEqual({ ok: false, message, retryable });
});

test('a missing command is tried again, since it may be installed', async () => {
  const answer = await runCommandHook({ command: ['/none'], env: {}, timeoutMs: 1000 }, request(), LIVING);
  expect(answer).toMatchObject({ ok: false, retryable: true, message: expect.stringContaining('ENOENT') });
});

test('a command that hangs is killed with all its descendants, also those that left its process group', async () => {
  const asked = request();
  const answer = await run('setsid sleep 1000 & sleep 1001 & wait', { timeoutMs: 300, request: asked });
  expect(answer).toEqual({ ok: false, message: 'the hook did not answer within 300 ms', retryable: true });
  expect(processesWith(`EXECPLANE_OPERATION_ID=${asked.operation_id}\0`)).toEqual([]);
});

test('a command that prints without end is killed', async () => {
  const asked = request();
  const answer = await run('exec cat /dev/zero', { request: asked });
  expect(answer).toEqual({ ok: false, message: 'the hook printed more than 1048576 bytes', retryable: true });
  expect(processesWith(`EXECPLANE_OPERATION_ID=${asked.operation_id}\0`)).toEqual([]);
});

test('a process that a command leaves running is not waited for', async () => {
  const asked = request();
  const answer = await run(`sleep 1000 & echo '{"ok": true, "state": "running"}'`, { request: asked });
  expect(answer).toEqual({ ok: true, state: 'running' });
  const left = processesWith(`EXECPLANE_OPERATION_ID=${asked.operation_id}\0`);
  expect(left).toHaveLength(1);
  left.forEach((pid) => void process.kill(pid, 'SIGKILL'));
});

test('an attempt ends the earlier one, which a killed server left running on this host', async () => {
  const asked = request();
  const env = { EXECPLANE_OPERATION_ID: asked.operation_id };
  const earlier = spawn('/bin/sleep', ['1000'], { env, stdio: 'ignore', detached: true });
  const ended = once(earlier, 'exit');
  await once(earlier, 'spawn');
  expect(await run(`echo '{"ok": true, "state": "running"}'`, { request: { ...asked, attempt: 2 } })).toMatchObject({
    ok: true,
  });
  expect(await ended).toEqual([null, 'SIGKILL']);
});

test('a stopping server ends the hook', async () => {
  const stopping = new AbortController();
  const asked = request();
  const answer = run('sleep 1000', { signal: stopping.signal, request: asked });
  stopping.abort();
  expect(await answer).toMatchObject({ ok: false, retryable: true });
  expect(processesWith(`EXECPLANE_OPERATION_ID=${asked.operation_id}\0`)).toEqual([]);
});

async function endpoint(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

function post(url: string, timeoutMs = 30_000) {
  return runHttpHook({ url, secret: SECRET, timeoutMs, now: Date.now }, request(), LIVING);
}

test('an endpoint gets the request, signed like a callback', async () => {
  let signed = false;
  const url = await endpoint(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature } = incoming.headers;
    const body = Buffer.concat(chunks).toString();
    const expected = signedHeaders(SECRET, { id: String(id), at: Number(seconds) * 1000, body });
    signed = signature === expected['webhook-signature'] && id === (JSON.parse(body) as ProviderRequest).operation_id;
    response.end('{"ok": true, "state": "running"}');
  });
  expect(await post(url)).toEqual({ ok: true, state: 'running' });
  expect(signed).toBe(true);
});

test("a request is signed at the time of the cluster, which the server's own clock may be hours off", async () => {
  const clusterTime = Date.now() + 3 * 3_600_000;
  let signedAt = 0;
  const url = await endpoint((incoming, response) => {
    signedAt = Number(incoming.headers['webhook-timestamp']);
    response.end('{"ok": true, "state": "running"}');
  });
  const path = join(temporaryDirectory('providers'), 'providers.json');
  writeFileSync(path, JSON.stringify({ providers: { cloud: { url, secret: SECRET, capabilities: ['create'] } } }));
  const { byName } = readProviders(path, { environment: {}, now: () => clusterTime });
  expect(await byName.get('cloud')?.run(request(), LIVING)).toEqual({ ok: true, state: 'running' });
  expect(signedAt).toBe(Math.floor(clusterTime / 1000));
});

test.each([
  [202, '', { ok: true, state: 'pending' }],
  [408, 'x', { ok: false, retryable: true }],
  [409, 'x', { ok: false, retryable: true }],
  [429, 'x', { ok: false, retryable: true }],
  [503, 'x', { ok: false, retryable: true }],
  [200, 'x', { ok: false, retryable: false, message: 'the endpoint answered 200 without a valid answer: x' }],
  [404, 'x', { ok: false, retryable: false }],
  [307, '', { ok: false, message: 'the endpoint answered 307, a redirect, which is not followed' }],
])('an endpoint that answers %i without a valid answer is an error', async (status, body, expected) => {
  const url = await endpoint((_incoming, response) => {
    response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body);
  });
  expect(await post(url)).toMatchObject(expected);
});

test('the join token is in no error of a hook, whether the hook echoes the request, traces its commands or prints much', async () => {
  const join_token = 'xpj_0123456789';
  const echoing = await endpoint((incoming, response) => {
    response.writeHead(400);
    incoming.pipe(response);
  });
  const hook = { url: echoing, secret: SECRET, timeoutMs: 30_000, now: Date.now };
  const answers = [
    await runHttpHook(hook, { ...request(), join_token }, LIVING),
    await run('cat >&2; exit 1', { request: { ...request(), join_token } }),
    await run(`printf '{"ok": false, "message": "%s", "retryable": false}' ${join_token}`, {
      request: { ...request(), join_token },
    }),
    await run(`printf 'TOKEN=${join_token}%1995s' ' end' >&2; exit 1`, { request: { ...request(), join_token } }),
  ];
  for (const answer of answers) expect(JSON.stringify(answer)).not.toMatch(/xpj_|01234|56789/);
  expect(answers[0]).toMatchObject({ message: expect.stringContaining('"join_token":"(join token)"') });
  expect(answers[2]).toMatchObject({ message: '(join token)' });
});

test('the secrets in the environment of a hook are in no error, and the other settings are', async () => {
  const env = { CLOUD_TOKEN: 'hc-0123456789', db_password: 'hunter2hunter2', API_KEY: 'short', ZONE: 'zone-of-tests' };
  const script = 'set -x; curl="$CLOUD_TOKEN$db_password $API_KEY"; echo "in $ZONE" >&2';
  const answer = await run(`${script}; exit 1`, { env });
  expect(answer).toMatchObject({ message: expect.stringContaining('(CLOUD_TOKEN)(db_password) short') });
  expect(answer).toMatchObject({ message: expect.stringContaining('in zone-of-tests') });
  const told = await run('printf \'{"ok": false, "message": "no: %s", "retryable": false}\' "$CLOUD_TOKEN"', { env });
  expect(told).toEqual({ ok: false, message: 'no: (CLOUD_TOKEN)', retryable: false });
});

test('an endpoint that hangs, floods or is missing is tried again', async () => {
  const hanging = await endpoint(() => {});
  expect(await post(hanging, 200)).toEqual({
    ok: false,
    message: 'the endpoint did not answer within 200 ms',
    retryable: true,
  });
  const flooding = await endpoint((_incoming, response) => {
    const more = (): void => {
      while (response.write(Buffer.alloc(65_536)));
      response.once('drain', more);
    };
    more();
  });
  expect(await post(flooding)).toMatchObject({
    ok: false,
    retryable: true,
    message: expect.stringContaining('more than'),
  });
  expect(await post('http://127.0.0.1:1/')).toMatchObject({ ok: false, retryable: true });
});
