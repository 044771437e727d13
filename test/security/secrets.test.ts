/**
 * Secrets must not stay on disk. A server and an agent with the most verbose logs get markers as env, stdin, live stdin, keys, tokens
 * and credentials. Executions end in all possible ways, and both processes are killed. Then all remaining bytes are searched.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WireExecution } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';

const MARKER = `Mk${randomBytes(12).toString('hex')}`;
const input = { env: { TOKEN: `${MARKER}-env` }, stdin: `${MARKER}-stdin` };
const LARGE = `${MARKER}-stdin`.repeat(8000);

let deployment: Deployment;
/** All answers that another caller could get, byte for byte. */
const answers: Buffer[] = [];
const ends = new Map<string, WireExecution>();
const secrets = new Map<string, string>([['env and stdin', MARKER]]);

beforeAll(async () => {
  const settings = { EXECPLANE_LOG_LEVEL: 'trace' };
  deployment = await Deployment.start({ server: settings, agent: settings });
  await runToEveryEnd();
  await killBoth();
  await askForEverything();
}, 240_000);
afterAll(() => deployment.dispose(), 60_000);

/** Ends executions in all possible ways, each with the same input. */
async function runToEveryEnd(): Promise<void> {
  const { machine } = deployment;
  await deployment.joinToken({ machine_id: 'dm-waiting' });
  const waiting = deployment.client.machine('dm-waiting');
  const sh = (line: string, more = {}) => ({ command: ['/bin/sh', '-c', line], ...input, ...more });
  const kept = async (name: string, execution: Promise<WireExecution>) => void ends.set(name, await execution);
  await kept('success', machine.run(sh('cat > /dev/null')));
  await kept('large stdin', machine.run(sh('cat > /dev/null', { stdin: LARGE })));
  await kept('stdin unread', machine.run(sh('exit 0', { stdin: LARGE })));
  await kept('failure', machine.run(sh('exit 3')));
  await kept('signal', machine.run(sh('kill -9 $$')));
  await kept('timeout', machine.run(sh('sleep 60', { timeout_ms: 100 })));
  await kept('not found', machine.run({ command: ['/nowhere/tool'], ...input }));
  await kept('no such directory', machine.run({ command: ['true'], cwd: '/nowhere', ...input }));
  await kept('expired', waiting.run(sh('true', { start_within_ms: 100 })));
  const unstarted = await waiting.create(sh('true'));
  await kept('cancelled while it waited', waiting.cancel(unstarted.execution_id, { wait_ms: 20_000 }));
  const running = await machine.create(sh('echo ready; exec sleep 600'));
  await machine.printed(running.execution_id, 'ready');
  await kept('cancelled', machine.cancel(running.execution_id, { wait_ms: 20_000 }));
  await kept('live stdin', live());
  await refusals(machine.path);
}

async function live(): Promise<WireExecution> {
  const { machine, client } = deployment;
  const command = ['/bin/sh', '-c', 'echo ready; cat > /dev/null'];
  const { execution_id: id } = await machine.create({ command, stdin_open: true, env: input.env });
  await machine.printed(id, 'ready');
  const query = { close: true };
  const headers = { 'content-type': 'application/octet-stream' };
  const body = Buffer.from(`${MARKER}-live`);
  expect((await client.request('POST', machine.at(id, '/stdin'), { body, query, headers })).status).toBe(200);
  return machine.ended(id);
}

/** Refused requests are answered and logged as well. */
async function refusals(path: string): Promise<void> {
  const bodies: unknown[] = [
    { command: ['true'], env: { 'A=B': input.env.TOKEN } },
    { command: ['true'], env: { A: [input.env.TOKEN] } },
    { command: ['true'], stdin: [input.stdin] },
    { command: ['true'], stdin: input.stdin, stdin_open: true },
    { command: [], ...input },
    `{"command": ["true"], "env": {"A": "${MARKER}"`,
    JSON.stringify(MARKER),
  ];
  for (const body of bodies) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomBytes(8).toString('hex') };
    const answer = await deployment.client.request('POST', path, { body, headers });
    expect(answer.status).toBeOneOf([400, 422]);
    answers.push(answer.bytes);
  }
}

async function killBoth(): Promise<void> {
  const { machine, server, agent } = deployment;
  const command = ['/bin/sh', '-c', 'echo ready; exec sleep 600'];
  const { execution_id: survivor } = await machine.create({ command, ...input, stdin: LARGE });
  await machine.printed(survivor, 'ready');
  const { execution_id: waiting } = await deployment.client.machine('dm-waiting').create({ command, ...input });
  await server.kill();
  await server.restart();
  await deployment.connected();
  ends.set('server killed', await machine.cancel(survivor, { wait_ms: 20_000 }));
  await deployment.client.machine('dm-waiting').cancel(waiting);
  const { execution_id: lost } = await machine.create({ command, ...input, stdin: LARGE });
  await machine.printed(lost, 'ready');
  process.kill(agent.runnerPid(), 'SIGKILL');
  await agent.killLink();
  agent.restart();
  ends.set('agent lost', await machine.ended(lost));
  await deployment.connected();
}

async function askForEverything(): Promise<void> {
  const { client, agent, server } = deployment;
  const body = { name: 'scanned', scopes: ['admin'] };
  const { key } = await client.ask<{ key: string }>('POST', '/v1/api-keys', { body });
  secrets.set('an API key', key).set('the admin key', server.key);
  secrets
    .set('a join token', await deployment.joinToken())
    .set('the used one', agent.settings['EXECPLANE_JOIN_TOKEN'] ?? '');
  const { credential } = JSON.parse(readFileSync(join(agent.dir, 'credential.json'), 'utf8'));
  secrets.set('the credential', credential);
  const asked = client.with(key);
  const of = [...ends.values()].map(({ machine_id, execution_id }) =>
    deployment.client.machine(machine_id).at(execution_id),
  );
  const parts = ['', '/events', '/events?encoding=base64', '/output', '/output?encoding=base64', '/output/stdout'];
  const paths = [
    ...of.flatMap((path) => parts.map((part) => `${path}${part}`)),
    ...['dm-test', 'dm-waiting'].map((id) => `/v1/machines/${id}/executions?limit=500`),
    ...['/v1/machines', '/v1/api-keys', '/v1/join-tokens', '/v1/audit?limit=500', '/metrics'],
  ];
  for (const path of paths) answers.push((await asked.get(path)).bytes);
}

/** The text itself, in base64 at each of its three alignments, and in hexadecimal. */
function spellings(text: string): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from(`${' '.repeat(shift)}${text}`).toString('base64');
    return encoded.slice(shift === 0 ? 0 : 4, -4);
  });
  return [text, ...base64, Buffer.from(text).toString('hex')].map((spelling) => Buffer.from(spelling));
}

function findings(where: Iterable<readonly [name: string, bytes: Buffer]>): string[] {
  const wanted = [...secrets].flatMap(([name, text]) => spellings(text).map((spelling) => [name, spelling] as const));
  return [...where].flatMap(([place, bytes]) =>
    wanted.filter(([, spelling]) => bytes.includes(spelling)).map(([name]) => `${name} in ${place}`),
  );
}

/** A file that is deleted during the search contains nothing. */
function* filesUnder(dir: string): Generator<readonly [string, Buffer]> {
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) yield [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name))];
  }
}

test('every execution has the expected end', () => {
  const codes = Object.fromEntries([...ends].map(([name, { status, error_code: code }]) => [name, code ?? status]));
  expect(codes).toEqual({
    success: 'succeeded',
    'large stdin': 'succeeded',
    'stdin unread': 'succeeded',
    failure: 'nonzero_exit',
    signal: 'signaled',
    timeout: 'execution_timed_out',
    'not found': 'command_not_found',
    'no such directory': 'cwd_not_found',
    expired: 'start_timed_out',
    'cancelled while it waited': 'cancelled',
    cancelled: 'cancelled',
    'live stdin': 'succeeded',
    'server killed': 'cancelled',
    'agent lost': 'agent_lost',
  });
});

test('the search finds planted secrets', () => {
  const planted = [MARKER, Buffer.from(`xx${MARKER}yy`).toString('base64'), Buffer.from(MARKER).toString('hex')];
  for (const text of planted) expect(findings([['a file', Buffer.from(`... ${text} ...`)]])).not.toEqual([]);
});

test('no file of the server contains a secret', () => {
  const files = [...filesUnder(deployment.server.dataDir)];
  expect(files.map(([name]) => name.split('/').at(-1))).toEqual(expect.arrayContaining(['execplane.db', 'secret.key']));
  expect(findings(files)).toEqual([]);
});

test('no file of the agent contains a secret, not even the journal, except the credential file', () => {
  const files = [...filesUnder(deployment.agent.dir)].filter(([name]) => !name.endsWith('/credential.json'));
  expect(files.some(([name]) => name.includes('/journal/'))).toBe(true);
  expect(findings(files)).toEqual([]);
});

test('no log contains a secret, at the most detailed level', () => {
  const { server, agent } = deployment;
  expect(server.log).toContain('"level":20');
  expect(
    findings([
      ['the log of the server', Buffer.from(server.log)],
      ['the log of the agent', Buffer.from(agent.log)],
    ]),
  ).toEqual([]);
});

test('no answer contains a secret, except the one that shows a new key or token', () => {
  expect(answers.length).toBeGreaterThan(80);
  expect(findings(answers.map((bytes, index) => [`answer ${index}`, bytes] as const))).toEqual([]);
});

test('the sealed inputs are deleted', async () => {
  const { default: Sqlite } = await import('better-sqlite3');
  await until('nothing is sealed any more', () => {
    const db = new Sqlite(join(deployment.server.dataDir, 'execplane.db'), { readonly: true });
    try {
      return db.prepare('SELECT count(*) FROM sealed_inputs').pluck().get() === 0;
    } finally {
      db.close();
    }
  });
});
