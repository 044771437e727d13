/** The MCP tools, called by the client of the official SDK over stdio and over HTTP. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, Deployment, MAIN } from '../helpers/harness.ts';

let deployment: Deployment;
let dir: string;

beforeAll(async () => {
  deployment = await Deployment.start();
  dir = makeDirectory('mcp');
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
}, 60_000);

const TRANSPORTS: Record<string, (key: string) => Transport> = {
  stdio: (key) =>
    new StdioClientTransport({
      command: process.execPath,
      args: [MAIN, 'mcp'],
      env: baseEnv({ EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: key }),
    }),
  http: (key) =>
    new StreamableHTTPClientTransport(new URL('/mcp', deployment.server.url), {
      requestInit: { headers: { authorization: `Bearer ${key}` } },
    }) as Transport,
};

async function connected(transport: string, key = deployment.server.key) {
  const client = new Client({ name: 'test', version: '1' });
  const made = TRANSPORTS[transport]?.(key);
  if (made === undefined) throw new Error(transport);
  await client.connect(made);
  return {
    client,
    async call(name: string, args: Record<string, unknown> = {}) {
      const answer = await client.callTool({ name, arguments: args });
      const [content] = answer.content as { text: string }[];
      return { text: content?.text ?? '', isError: answer.isError === true };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

const MACHINE = { machine_id: 'dm-test' };

describe.each(Object.keys(TRANSPORTS))('%s', (transport) => {
  test('lists its tools', async () => {
    await using host = await connected(transport);
    const { tools } = await host.client.listTools();
    expect(tools.map(({ name }) => name).sort()).toEqual([
      'cancel_execution',
      'get_execution',
      'list_files',
      'list_machines',
      'read_file',
      'read_output',
      'run_command',
      'write_file',
      'write_stdin',
    ]);
  });

  test('writes, lists, runs and reads a file', async () => {
    await using host = await connected(transport);
    const path = join(dir, `${transport}.sh`);
    expect((await host.call('list_machines')).text).toMatch(/^dm-test.*: online, /);
    expect((await host.call('write_file', { ...MACHINE, path, content: 'echo "to $1"; exit 3\n' })).text).toContain(
      '21 bytes',
    );
    expect((await host.call('list_files', { ...MACHINE, path: dir })).text).toContain(`file 21 ${transport}.sh`);
    const ran = await host.call('run_command', { ...MACHINE, command: ['sh', path, 'you'] });
    expect(ran.text).toMatch(/^Failed, exit code 3\.\n.*\n--- stdout \(7 bytes\)\nto you\n$/);
    expect(ran.isError).toBe(false);
    const absent = await host.call('run_command', { ...MACHINE, command: ['no-such-command'] });
    expect(absent.text).toMatch(/^failed, exit code 127: .*no-such-command/);
    expect((await host.call('read_file', { ...MACHINE, path, offset: 5, length: 4 })).text).toBe(
      '"to \n[bytes 5 to 9 of 21]',
    );
  });

  test('returns a long-running command, which can get input and be cancelled', async () => {
    await using host = await connected(transport);
    const started = await host.call('run_command', {
      ...MACHINE,
      command: ['sh', '-c', 'read line; echo "got $line"; exec sleep 300'],
      keep_stdin_open: true,
      wait_seconds: 0,
    });
    const id = /execution_id (\S+)\)/.exec(started.text)?.[1];
    const one = { ...MACHINE, execution_id: id };
    expect((await host.call('write_stdin', { ...one, text: 'a line\n' })).text).toBe('Written.');
    await deployment.machine.printed(id ?? '', 'got a line');
    expect((await host.call('get_execution', one)).text).toMatch(/^Still running\.[\s\S]*got a line/);
    expect((await host.call('cancel_execution', one)).text).toMatch(/^cancelled: /);
  });

  test('cuts a long output to its two ends, and says how to read the rest', async () => {
    await using host = await connected(transport);
    const ran = await host.call('run_command', { ...MACHINE, command: ['sh', '-c', 'seq 1 20000'] });
    expect(ran.text.length).toBeLessThan(20_000);
    expect(ran.text).toMatch(/\n1\n2\n3\n/);
    expect(ran.text).toMatch(/\n19999\n20000\n$/);
    const [, offset = ''] = /read_output with stream "stdout", offset (\d+)/.exec(ran.text) ?? [];
    const id = /execution_id (\S+)\)/.exec(ran.text)?.[1];
    const part = await host.call('read_output', { ...MACHINE, execution_id: id, offset: Number(offset), length: 100 });
    const all = Array.from({ length: 20_000 }, (_, at) => `${at + 1}\n`).join('');
    expect(part.text.split('\n').slice(1).join('\n')).toBe(all.slice(Number(offset), Number(offset) + 100));
  });

  test('accepts the name of a machine as well as its id', async () => {
    await deployment.client.ask('PATCH', '/v1/machines/dm-test', { body: { name: 'build-1' } });
    await using host = await connected(transport);
    expect((await host.call('list_machines', { label: 'nowhere' })).text).toBe('There are no machines.');
    expect((await host.call('list_machines')).text).toMatch(/^dm-test \(name build-1\): online, /);
    const named = { machine_id: 'build-1' };
    const ran = await host.call('run_command', { ...named, command: ['echo', 'here'] });
    expect(ran.text).toMatch(/^Succeeded, exit code 0\.\n\(machine_id dm-test, .*\nhere\n$/s);
    const id = /execution_id (\S+)\)/.exec(ran.text)?.[1];
    const part = await host.call('read_output', { ...named, execution_id: id });
    expect(part.text).toBe('--- stdout, bytes 0 to 5\nhere\n');
    expect((await host.call('list_files', { ...named, path: dir })).isError).toBe(false);
    const unknown = await host.call('run_command', { machine_id: 'build-2', command: ['true'] });
    expect(unknown).toEqual({ isError: true, text: expect.stringMatching(/name "build-2": list_machines/) });
  });

  test('lists a long directory in parts', async () => {
    await using host = await connected(transport);
    const path = join(dir, `${transport}-many`);
    await host.call('run_command', {
      ...MACHINE,
      command: ['sh', '-c', 'mkdir "$0" && cd "$0" && seq -f f%03g 1 250 | xargs touch', path],
    });
    const first = (await host.call('list_files', { ...MACHINE, path })).text.split('\n');
    expect([first.length, first[0], first.at(-1)]).toEqual([
      201,
      'file 0 f001',
      '[200 of 250 entries: list_files with offset 200.]',
    ]);
    const rest = (await host.call('list_files', { ...MACHINE, path, offset: 200 })).text.split('\n');
    expect([rest.length, rest[0], rest.at(-1)]).toEqual([50, 'file 0 f201', 'file 0 f250']);
    expect((await host.call('list_files', { ...MACHINE, path, offset: 250 })).text).toBe('It has 250 entries.');
  });

  test('says in errors how to continue', async () => {
    await using host = await connected(transport);
    const nowhere = await host.call('run_command', { machine_id: 'dm-nowhere', command: ['true'] });
    expect(nowhere).toMatchObject({ isError: true, text: expect.stringContaining('list_machines') });
    const missing = await host.call('read_file', { ...MACHINE, path: '/nowhere/file' });
    expect(missing).toMatchObject({ isError: true, text: '/nowhere/file: No such file or directory' });
  });

  test('enforces the scopes of the key', async () => {
    const body = { name: 'reader', scopes: ['executions:read', 'machines:read'] };
    const { key } = await deployment.client.ask<{ key: string }>('POST', '/v1/api-keys', { body });
    await using host = await connected(transport, key);
    expect((await host.call('list_machines')).isError).toBe(false);
    const refused = await host.call('run_command', { ...MACHINE, command: ['true'] });
    expect(refused).toMatchObject({ isError: true, text: expect.stringContaining('does not allow') });
  });

  test('shows only its machines to a key that is limited to some', async () => {
    await deployment.joinToken({ machine_id: `dm-other-${transport}` });
    const body = { name: 'limited', scopes: ['executions:write', 'machines:read'], machine_ids: ['dm-test'] };
    const { key } = await deployment.client.ask<{ key: string }>('POST', '/v1/api-keys', { body });
    await using host = await connected(transport, key);
    expect((await host.call('list_machines')).text).toMatch(/^dm-test[^\n]*$/);
    const refused = await host.call('run_command', { machine_id: `dm-other-${transport}`, command: ['true'] });
    expect(refused).toMatchObject({ isError: true, text: expect.stringContaining('does not allow') });
  });

  test('a key for another machine reaches nothing of this one, and ids are no paths', async () => {
    const other = `dm-away-${transport}`;
    await deployment.joinToken({ machine_id: other });
    const { key } = await madeKey({ scopes: ['admin'], machine_ids: [other] });
    const ran = await deployment.machine.create({ command: ['echo', 'hidden'] }, { wait_ms: 10_000 });
    await using host = await connected(transport, key);
    const one = { ...MACHINE, execution_id: ran.execution_id };
    const calls: [string, object][] = [
      ['get_execution', one],
      ['read_output', one],
      ['cancel_execution', one],
      ['write_stdin', { ...one, text: 'x' }],
      ['read_file', { ...MACHINE, path: '/etc/hostname' }],
      ['write_file', { ...MACHINE, path: join(dir, 'planted'), content: 'x' }],
      ['list_files', { ...MACHINE, path: '/' }],
      ['get_execution', { ...one, machine_id: `${other}/executions/../../dm-test` }],
      ['get_execution', { machine_id: other, execution_id: `../../dm-test/executions/${ran.execution_id}` }],
      ['get_execution', { ...one, machine_id: other }],
    ];
    for (const [tool, args] of calls) {
      const answer = await host.call(tool, { ...args });
      expect({ tool, ...answer }).toMatchObject({ isError: true, text: expect.not.stringContaining('hidden') });
    }
    expect(existsSync(join(dir, 'planted'))).toBe(false);
    expect((await host.call('list_machines')).text).toMatch(new RegExp(`^${other}[^\\n]*$`));
  });

  test('a key that may only read runs nothing, not even through the tools for files', async () => {
    const { key } = await madeKey({ scopes: ['executions:read'] });
    await using host = await connected(transport, key);
    const path = join(dir, `${transport}-unwritten`);
    const calls: [string, object][] = [
      ['write_file', { path, content: 'x' }],
      ['read_file', { path: '/etc/hostname' }],
      ['list_files', { path: '/' }],
    ];
    for (const [tool, args] of calls) {
      const answer = await host.call(tool, { ...MACHINE, ...args });
      expect(answer).toMatchObject({ isError: true, text: expect.stringContaining('executions:write') });
    }
    expect(existsSync(path)).toBe(false);
  });

  test('a call that waits ends with its key', async () => {
    const { key, api_key_id: id } = await madeKey({ scopes: ['executions:write'] });
    await using host = await connected(transport, key);
    const file = join(dir, `${transport}-runs`);
    const command = ['sh', '-c', 'touch "$0"; exec sleep 300', file];
    const call = host.call('run_command', { ...MACHINE, command, wait_seconds: 300 });
    await expect.poll(() => existsSync(file), { timeout: 20_000 }).toBe(true);
    await deployment.client.ask('DELETE', `/v1/api-keys/${id}`);
    expect(await call).toMatchObject({ isError: true, text: expect.stringContaining('revoked') });
  });
});

function madeKey(fields: object) {
  const body = { name: 'limited', ...fields };
  return deployment.client.ask<{ key: string; api_key_id: string }>('POST', '/v1/api-keys', { body });
}

test('every answer of MCP over HTTP has a request id, also a refusal of the media type', async () => {
  const url = new URL('/mcp', deployment.server.url);
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
  const headers = { authorization: `Bearer ${deployment.server.key}`, 'content-type': 'application/json' };
  const answers = [];
  for (const accept of ['text/html', 'application/json, text/event-stream']) {
    const { status, headers: answered } = await fetch(url, { method: 'POST', headers: { ...headers, accept }, body });
    answers.push([status, /^req-/.test(answered.get('x-request-id') ?? '')]);
  }
  expect(answers).toEqual([
    [406, true],
    [200, true],
  ]);
});

test('MCP over HTTP needs a key, and serves only POST', async () => {
  const url = new URL('/mcp', deployment.server.url);
  expect((await fetch(url, { method: 'POST' })).status).toBe(401);
  const headers = { authorization: `Bearer ${deployment.server.key}` };
  const refused = await fetch(url, { headers });
  const { status, headers: told } = refused;
  expect([status, told.get('allow'), told.get('x-should-retry')]).toEqual([405, 'POST', 'false']);
  expect(await refused.json()).toMatchObject({ title: 'Method Not Allowed', status: 405 });
});

test('a wait over HTTP ends when its client disconnects', async () => {
  const url = (path: string) => new URL(path, deployment.server.url);
  const headers = {
    authorization: `Bearer ${deployment.server.key}`,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
  };
  const openRequests = async () => {
    const metrics = await (await fetch(url('/metrics'), { headers })).text();
    return Number(/^execplane_open_requests (\d+)/m.exec(metrics)?.[1]);
  };
  await expect.poll(openRequests, { timeout: 60_000 }).toBe(0);
  const call = { name: 'run_command', arguments: { ...MACHINE, command: ['sleep', '300'], wait_seconds: 300 } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: call });
  const leave = new AbortController();
  const answer = expect(fetch(url('/mcp'), { method: 'POST', headers, body, signal: leave.signal })).rejects.toThrow();
  await expect.poll(openRequests, { timeout: 20_000 }).toBe(1);
  leave.abort();
  await answer;
  await expect.poll(openRequests, { timeout: 20_000 }).toBe(0);
});
