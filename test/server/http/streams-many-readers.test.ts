/** Many concurrent readers over real sockets: of one execution, of many executions, and readers that stop reading. */
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type RunningTestServer, runningServer } from '../../helpers/running-server.ts';
import { ScriptedAgent } from '../../helpers/scripted-agent.ts';
import { SseSocket } from '../../helpers/sse-socket.ts';
import { ADMIN_KEY, httpFixture, MACHINE } from './http-fixture.ts';

const MANY = 1000;
const CHUNKS = 10;
/** The events: queued, running, the chunks, the end. */
const EVENTS = CHUNKS + 3;
const ALL = Array.from({ length: EVENTS }, (_, index) => index + 1);
const TIMEOUT_MS = 120_000;
/** Server and readers share one process. If it stops for 15 s, unread requests would count as too slow. */
const SETTINGS = { logLevel: 'warn', headersTimeoutMs: String(TIMEOUT_MS) };

async function withAgent(server: RunningTestServer): Promise<ScriptedAgent> {
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'), { max_concurrency: MANY });
  onTestFinished(async () => void (await agent.close()));
  return agent;
}

function reader(server: RunningTestServer, executionId: string): SseSocket {
  const path = server.client.machine('dm-one').at(executionId, '/events');
  const socket = new SseSocket(server.url, path, server.client.key ?? '');
  onTestFinished(() => socket.destroy());
  return socket;
}

/** Waits until the server has no readers. */
async function expectNoneLeft(server: RunningTestServer): Promise<void> {
  const metrics = async () => (await server.client.get('/metrics')).bytes.toString();
  await expect.poll(metrics, { timeout: 20_000 }).toMatch(/^execplane_open_requests 0$/m);
  expect(await metrics()).toMatch(/^execplane_followed_executions 0$/m);
}

test(
  'a thousand readers of one execution each get every event once, in order, and then the end',
  async () => {
    await using server = await runningServer(SETTINGS);
    const agent = await withAgent(server);
    const { execution_id: id } = await server.client.machine('dm-one').create({ command: ['a'] });
    await agent.next('start');
    const readers = Array.from({ length: MANY }, () => reader(server, id));
    await Promise.all(readers.map((one) => one.until(1)));
    agent.report(agent.started(id));
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      agent.report(agent.stdout(id, `line ${chunk}\n`));
      // Pauses after each chunk, so that readers wake up many times.
      await readers[0]?.until(chunk + 3);
    }
    agent.report(agent.ended(id));
    await Promise.all(readers.map((one) => one.ended));
    for (const { ids } of readers) expect(ids).toEqual(ALL);
    await expectNoneLeft(server);
  },
  TIMEOUT_MS,
);

test(
  'a thousand executions with a reader each: every reader gets its own events, to the end',
  async () => {
    await using server = await runningServer(SETTINGS);
    const agent = await withAgent(server);
    const machine = server.client.machine('dm-one');
    const ids: string[] = [];
    for (let made = 0; made < MANY; made += 50) {
      const batch = await Promise.all(Array.from({ length: 50 }, () => machine.create({ command: ['a'] })));
      ids.push(...batch.map(({ execution_id }) => execution_id));
    }
    await agent.until((received) => received.filter(({ type }) => type === 'start').length === MANY);
    const readers = ids.map((id) => reader(server, id));
    await Promise.all(readers.map((one) => one.until(1)));
    for (const id of ids) agent.report(agent.started(id));
    for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
      agent.report(...ids.map((id) => agent.stdout(id, `line ${chunk}\n`)));
    }
    agent.report(...ids.map((id) => agent.ended(id)));
    await Promise.all(readers.map((one) => one.ended));
    for (const { ids: seen } of readers) expect(seen).toEqual(ALL);
    await expectNoneLeft(server);
  },
  TIMEOUT_MS,
);

test(
  'readers that stop reading hold little of a long log in memory, delay nobody, and continue where they were',
  async () => {
    const chunkBytes = 65_536;
    const chunks = 256;
    await using http = await httpFixture();
    const url = await http.listen();
    const sockets = new Set<Socket>();
    http.app.server.on('connection', (socket: Socket) => void sockets.add(socket));
    const executionId = await http.create();
    await http.start(executionId);
    const path = `/v1/machines/${MACHINE}/executions/${executionId}/events`;
    const open = (): SseSocket => {
      const socket = new SseSocket(url, path, ADMIN_KEY);
      onTestFinished(() => socket.destroy());
      return socket;
    };
    const stalled = Array.from({ length: 50 }, open);
    await Promise.all(stalled.map((one) => one.until(2)));
    for (const one of stalled) one.pause();

    const quick = open();
    const payload = Buffer.alloc(chunkBytes, 0x61);
    for (let sent = 0; sent < chunks; sent += 16) {
      await http.report(executionId, ...Array.from({ length: 16 }, () => ({ kind: 'stdout' as const, payload })));
      await quick.until(2 + sent + 16);
    }
    await http.finish(executionId);
    await quick.ended;

    // The server buffers only one page of the store beyond the kernel's buffers, although the log has 16 MiB.
    const held = [...sockets].map((socket) => socket.writableLength);
    expect(Math.max(...held)).toBeGreaterThan(0);
    expect(Math.max(...held)).toBeLessThan(512 * 1024);
    expect(quick.ids).toHaveLength(chunks + 3);

    const one = stalled[0];
    one?.resume();
    await one?.ended;
    expect(one?.ids).toEqual(quick.ids);
    for (const other of stalled) other.destroy();
  },
  TIMEOUT_MS,
);
