/** Three real servers on one PostgreSQL: answers if a server dies, stops, or is not connected to the machine. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Execplane } from '../../src/client/main.ts';
import type { WireExecution } from '../helpers/client.ts';
import { TestCluster } from '../helpers/cluster.ts';
import { baseEnv, MAIN } from '../helpers/harness.ts';
import { Started, until } from '../helpers/processes.ts';
import { TerminalStream } from '../helpers/terminal-stream.ts';

/** Delay of an acknowledgement of a slow client. */
const SLOW_MS = 20;

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ servers: 3 });
  await cluster.join('dm-one', cluster.server(0).url);
});
afterAll(() => cluster?.dispose());

const machine = (index: number, machineId = 'dm-one') => cluster.server(index).client.machine(machineId);

test('a command can be created on any server, and all servers return the same result', async () => {
  for (const index of [0, 1, 2]) {
    const ended = await machine(index).run({ command: ['sh', '-c', `echo from ${index}`] });
    expect(ended).toMatchObject({ status: 'succeeded', exit_code: 0 });
    for (const other of [0, 1, 2]) {
      expect((await machine(other).raw(ended.execution_id)).toString()).toBe(`from ${index}\n`);
    }
  }
});

test("a cancel and a signal reach the command through a server that does not hold the machine's connection", async () => {
  const { execution_id: id } = await machine(1).create({
    command: ['sh', '-c', 'trap "echo hup" HUP; echo ready; while :; do sleep 0.1; done'],
  });
  await machine(2).printed(id, 'ready');
  const path = `/v1/machines/dm-one/executions/${id}`;
  await cluster.server(2).client.ask('POST', `${path}/signal`, { body: { signal: 'SIGHUP' } });
  await machine(0).printed(id, 'hup');
  const cancelled = await cluster.server(2).client.ask<WireExecution>('DELETE', `${path}?wait_ms=20000`);
  expect(cancelled.status).toBe('cancelled');
});

test('all servers refuse a key that one server revoked within seconds, and close its streams (fault 57)', async () => {
  const body = { name: 'short-lived', scopes: ['executions:read'] };
  const made = await cluster
    .server(0)
    .client.ask<{ api_key_id: string; key: string }>('POST', '/v1/api-keys', { body });
  const statusOn = async (index: number) => {
    const url = `${cluster.server(index).url}/v1/machines/dm-one/executions`;
    return (await fetch(url, { headers: { authorization: `Bearer ${made.key}` } })).status;
  };
  for (const index of [0, 1, 2]) expect(await statusOn(index)).toBe(200);
  const { execution_id: id } = await machine(0).create({ command: ['sleep', '600'] });
  const streams = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const url = `${cluster.server(index).url}/v1/machines/dm-one/executions/${id}/events`;
      const headers = { authorization: `Bearer ${made.key}`, accept: 'text/event-stream' };
      const answer = await fetch(url, { headers });
      expect(answer.headers.get('content-type')).toContain('text/event-stream');
      return answer;
    }),
  );
  await cluster.server(1).client.ask('DELETE', `/v1/api-keys/${made.api_key_id}`);
  const revokedAt = performance.now();
  for (const index of [0, 1, 2]) await until('the key is refused', async () => (await statusOn(index)) === 401);
  expect(performance.now() - revokedAt).toBeLessThan(15_000);
  // The streams end although the command keeps running; one that is cut rejects.
  await Promise.allSettled(streams.map((answer) => answer.text()));
  expect(performance.now() - revokedAt).toBeLessThan(20_000);
  expect(await machine(0).read(id)).toMatchObject({ status: 'running' });
  await machine(0).cancel(id);
});

test('a server with another secret key does not start, and says why (fault 60)', async () => {
  const env = baseEnv({
    ...cluster.server(0).settings,
    EXECPLANE_PORT: '0',
    EXECPLANE_DATA_DIR: join(cluster.dir, 'stranger'),
    EXECPLANE_SECRET_KEY_FILE: join(cluster.dir, 'other.key'),
  });
  writeFileSync(join(cluster.dir, 'other.key'), `${'A'.repeat(43)}\n`);
  const stranger = new Started(process.execPath, [MAIN, 'server'], env);
  const exit = await stranger.end('SIGCONT', 30_000);
  expect(exit.code).toBe(2);
  expect(stranger.stderr).toContain('EXECPLANE_SECRET_KEY_FILE');
});

test('a command whose server is killed keeps running, once, and its user sees only a pause (fault 51)', async () => {
  await cluster.join('dm-two', cluster.balancer.url);
  const starts = join(cluster.dir, 'starts');
  const line = `echo "$EXECUTION_ID" >> ${starts}; for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 1; done; echo done`;
  const env = baseEnv({ EXECPLANE_URL: cluster.balancer.url, EXECPLANE_API_KEY: cluster.server(0).key });
  const exec = new Started(process.execPath, [MAIN, 'exec', 'dm-two', '--', 'sh', '-c', line], env);
  await until('it prints', () => exec.stdout.includes('2\n'));
  const owner = await ownerOf('dm-two');
  await cluster.server(owner).kill();
  const exit = await exec.end('SIGCONT', 90_000);
  expect([exit.code, exec.stdout]).toEqual([0, '1\n2\n3\n4\n5\n6\n7\n8\ndone\n']);
  expect(readFileSync(starts, 'utf8').trim().split('\n')).toHaveLength(1);
  await cluster.server(owner).restart();
});

test('a large stdin and a large output are exact through all servers, although the server of the machine is killed meanwhile', async () => {
  const bytes = randomBytes(12_000_000);
  const client = new Execplane({ url: cluster.balancer.url, apiKey: cluster.server(0).key });
  const handle = await client.machine('dm-two').start(['cat'], { output: 'stream' });
  const writer = handle.stdin.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const owner = await ownerOf('dm-two');
  const pieces: Uint8Array[] = [];
  let size = 0;
  let killed = false;
  for await (const piece of handle.stdout) {
    pieces.push(piece);
    size += piece.length;
    if (killed || size < 5_000_000) continue;
    killed = true;
    await cluster.server(owner).kill();
  }
  await written;
  expect([size, Buffer.concat(pieces).equals(bytes)]).toEqual([bytes.length, true]);
  expect(await handle.result).toMatchObject({ status: 'succeeded', exitCode: 0 });
  await cluster.server(owner).restart();
}, 120_000);

test('another server continues a batch whose server is killed, and each of its commands runs once', async () => {
  const starts = join(cluster.dir, 'batch-starts');
  const line = `echo "$EXECUTION_ID" >> ${starts}; sleep 2`;
  const body = { selector: { machine_ids: ['dm-one', 'dm-two'] }, command: ['sh', '-c', line], max_concurrency: 1 };
  const batch = await cluster.server(1).client.ask<{ batch_id: string }>('POST', '/v1/batches', { body });
  await until('its first command runs', () => existsSync(starts));
  await cluster.server(1).kill();
  const path = `/v1/batches/${batch.batch_id}`;
  const over = await cluster.server(2).client.ask('GET', path, { query: { wait_ms: 60_000 } });
  expect(over).toMatchObject({ status: 'succeeded', counts: { succeeded: 2 } });
  const { items } = await cluster.server(0).client.ask<{ items: WireExecution[] }>('GET', `${path}/executions`);
  const started = readFileSync(starts, 'utf8').trim().split('\n');
  expect(started).toEqual(items.map(({ execution_id: id }) => id));
  await cluster.server(1).restart();
});

test("a server that does not hold the machine's connection reports the status of the machine", async () => {
  const agent = cluster.agents.find(({ machineId }) => machineId === 'dm-one');
  await agent?.killLink();
  const phaseOn = async (index: number) =>
    (await cluster.server(index).client.ask<WireMachine>('GET', '/v1/machines/dm-one')).status.phase;
  await until('it is away', async () => (await phaseOn(0)) === 'sleeping');
  const streams = [0, 1, 2].map(async (index) => {
    const path = '/v1/machines/dm-one/status/stream';
    const answer = await cluster.server(index).client.open('GET', path);
    const opened = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = (await opened?.read())?.value ?? '';
    return { first, rest: async () => readAll(opened) };
  });
  const opened = await Promise.all(streams);
  for (const { first } of opened) expect(first).toContain('"phase":"sleeping"');
  agent?.restart();
  // The streams end when the machine is in the desired state.
  for (const { rest } of opened) expect(await rest()).toContain('"phase":"running"');
});

test('a terminal works through every server: tickets, size, input', async () => {
  const path = '/v1/machines/dm-one/terminals';
  const body = { width: 80, height: 24, shell: '/bin/sh', env: { PS1: '> ' } };
  const { terminal_id: id } = await cluster.server(1).client.ask<{ terminal_id: string }>('POST', path, { body });
  await until('it runs', async () => {
    return (await cluster.server(0).client.ask<{ status: string }>('GET', `${path}/${id}`)).status === 'ready';
  });
  const ticketOf = async (index: number) => {
    const made = await cluster.server(index).client.ask<{ stream_url: string }>('POST', `${path}/${id}/tickets`);
    return new URL(made.stream_url).search;
  };
  const attach = (index: number, ticket: string) =>
    TerminalStream.open(`${cluster.server(index).url}${path}/${id}/stream${ticket}`, undefined);
  const ticket = await ticketOf(0);
  const one = await attach(1, ticket);
  for (const index of [0, 1, 2]) await expect(attach(index, ticket)).rejects.toMatchObject({ status: 401 });
  const two = await attach(2, await ticketOf(1));
  // The order of two clients' messages is not defined.
  two.resize(132, 50);
  two.type('stty size\n');
  for (const stream of [one, two]) await stream.printed('50 132');
  one.type('exit 3\n');
  for (const stream of [one, two]) expect(await stream.end()).toEqual({ code: 1000, reason: 'exit 3' });
});

test('a terminal has at most 8 clients on all servers together', async () => {
  const path = '/v1/machines/dm-one/terminals';
  const body = { width: 80, height: 24, shell: '/bin/sh' };
  const { terminal_id: id } = await cluster.server(1).client.ask<{ terminal_id: string }>('POST', path, { body });
  await until('it runs', async () => {
    return (await cluster.server(0).client.ask<{ status: string }>('GET', `${path}/${id}`)).status === 'ready';
  });
  const attach = (index: number) => {
    const server = cluster.server(index);
    return TerminalStream.open(`${server.url}${path}/${id}/stream`, server.key);
  };
  const streams = [];
  for (const index of [0, 1, 2, 0, 1, 2, 0, 1]) streams.push(await attach(index));
  for (const index of [0, 1, 2]) await expect(attach(index)).rejects.toMatchObject({ status: 429 });
  const [first] = streams;
  first?.socket.close();
  await until('there is room for another client', async () => {
    const stream = await attach(2).catch(() => undefined);
    if (stream !== undefined) streams.push(stream);
    return stream !== undefined;
  });
  streams.at(-1)?.type('exit\n');
  for (const stream of streams.slice(1)) expect(await stream.end()).toMatchObject({ code: 1000 });
});

test('a terminal prints no faster than its slowest client reads, on whichever server that is: no client misses a byte', async () => {
  const path = '/v1/machines/dm-one/terminals';
  const body = { width: 80, height: 24, shell: '/bin/sh' };
  const { terminal_id: id } = await cluster.server(1).client.ask<{ terminal_id: string }>('POST', path, { body });
  await until('it runs', async () => {
    return (await cluster.server(0).client.ask<{ status: string }>('GET', `${path}/${id}`)).status === 'ready';
  });
  const streams = await Promise.all(
    [0, 1, 2].map((index) => {
      const { url, key } = cluster.server(index);
      return TerminalStream.open(`${url}${path}/${id}/stream?frames=binary&acks=true`, key);
    }),
  );
  // The one on the first server acknowledges at once, the others later.
  for (const [index, stream] of streams.entries()) {
    const acknowledge = () => stream.acknowledge(stream.output.length);
    stream.socket.on('message', () => setTimeout(acknowledge, index * SLOW_MS));
  }
  streams[0]?.type('stty -echo raw; seq 1 700000; exit 4\n');
  for (const stream of streams) expect(await stream.end()).toEqual({ code: 1000, reason: 'exit 4' });
  const numbers = Array.from({ length: 700_000 }, (_, i) => `${i + 1}\n`).join('');
  for (const { output } of streams) expect(output.toString().endsWith(numbers)).toBe(true);
});

test.each([
  ['restarts', 'fast'],
  ['crashes', 'immediate'],
] as const)(
  'PostgreSQL %s while commands run: agents stay connected, nothing is lost, no execution ends as agent_lost (fault 53)',
  async (_what, mode) => {
    const { execution_id: id } = await machine(1).create({
      command: ['sh', '-c', 'echo ready; for n in 1 2 3 4 5 6; do sleep 1; echo $n; done'],
    });
    await machine(1).printed(id, 'ready');
    await cluster.postgres.halt(mode);
    await cluster.postgres.run();
    await until('it has ended', async () => {
      const path = `/v1/machines/dm-one/executions/${id}`;
      const now = await cluster
        .server(2)
        .client.ask<WireExecution>('GET', path)
        .catch(() => undefined);
      return now?.status === 'succeeded';
    });
    expect((await machine(2).raw(id)).toString()).toBe('ready\n1\n2\n3\n4\n5\n6\n');
  },
);

test('a server that receives SIGTERM hands its agents over and exits within 10 s', async () => {
  const owner = await ownerOf('dm-two');
  const stopped = cluster.server(owner).stop();
  const begun = performance.now();
  await stopped;
  expect(performance.now() - begun).toBeLessThan(10_000);
  await until(
    () => `the agent is elsewhere\n${cluster.log}`,
    async () => {
      return cluster.lastConnected('dm-two') !== owner;
    },
  );
  const other = (owner + 1) % 3;
  expect(await machine(other, 'dm-two').run({ command: ['true'] })).toMatchObject({ status: 'succeeded' });
  await cluster.server(owner).restart();
});

interface WireMachine {
  status: { phase: string };
}

async function readAll(reader: ReadableStreamDefaultReader<string> | undefined): Promise<string> {
  let text = '';
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) return text;
    text += part.value;
  }
}

/** The server to which the machine is connected: the last server that logged the connection of its agent. */
async function ownerOf(machineId: string): Promise<number> {
  await until(`somebody holds ${machineId}`, async () => (await cluster.holderOf(machineId)) !== undefined);
  return cluster.lastConnected(machineId);
}
