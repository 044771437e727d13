/** Two servers on one database: requests to one server reach the agent on the other server, with and without hints. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import type { Execution } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { temporaryDirectory } from '../../../helpers/directories.ts';
import { type Member, MemoryCluster } from '../../../helpers/memory-cluster.ts';
import { openTestStore } from '../../../helpers/test-store.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const PEER_KEY = randomBytes(32);
const POLL = { timeout: 20_000, interval: 20 };

/** Two servers; the agent of `dm-one` is connected to the first. */
async function twoServers(p: { dropHints?: boolean; features?: string[]; areLinked?: boolean } = {}) {
  const shared = openTestStore({ path: join(temporaryDirectory('plane'), 'shared.db') });
  onTestFinished(() => shared.close());
  const cluster = new MemoryCluster(shared);
  const start = async (): Promise<{ plane: TestPlane; member: Member }> => {
    const member = cluster.join();
    const peers =
      p.areLinked === true ? { peers: { address: { host: '127.0.0.1', port: 0 }, key: PEER_KEY, version: '1' } } : {};
    return { plane: await TestPlane.start({ wrap: () => member.store, ...peers }), member };
  };
  const [one, two] = [await start(), await start()];
  const credential = await one.plane.machine();
  const agent = await ScriptedAgent.join(one.plane.url, credential, { features: p.features ?? [] });
  cluster.dropHints = p.dropHints ?? false;
  return { cluster, one: one.plane, two: two.plane, oneMember: one.member, credential, agent };
}

/** An execution that runs, created on the second server. */
async function runningElsewhere(
  p: { dropHints?: boolean; stdin?: 'open'; features?: string[]; outputMode?: 'stream' } = {},
) {
  const servers = await twoServers(p);
  const created = await servers.two.create({
    ...(p.stdin === 'open' && { stdin: { mode: 'open' } }),
    ...(p.outputMode !== undefined && { outputMode: p.outputMode }),
  });
  const { execution_id: id } = await servers.agent.next('start');
  servers.agent.report(servers.agent.started(id));
  const running = await servers.two.until(created, ({ status }) => status === 'running');
  return { ...servers, running, id };
}

const cancel = (plane: TestPlane, { machineId, executionId }: Execution) =>
  plane.control.cancel({ machineId, executionId, by: 'admin' });

describe.each([
  ['with hints', false],
  ['while all hints are lost (fault 56)', true],
])('%s', (_name, dropHints) => {
  test('a create on one server starts on the agent of the other, and its end answers the wait', async () => {
    const { two, agent } = await twoServers({ dropHints });
    const created = await two.create();
    const ended = two.end(created);
    await agent.runNext();
    expect(await ended).toMatchObject({ status: 'succeeded', dispatchNumber: 1 });
  });

  test('a listener hears of output that makes no event, as that of a terminal, within seconds', async () => {
    const { two, agent, id } = await runningElsewhere({ dropHints, outputMode: 'stream' });
    let bytes = 0;
    onTestFinished(
      two.control.subscribe(id, (execution) => {
        bytes = execution.stdout.bytes;
      }),
    );
    for (const text of ['hello', 'again']) {
      const before = bytes;
      agent.report(agent.stdout(id, text));
      await vi.waitFor(() => expect(bytes).toBe(before + 5), POLL);
    }
  });

  test('a cancel reaches the agent once', async () => {
    const { two, agent, running, id } = await runningElsewhere({ dropHints });
    await cancel(two, running);
    expect(await agent.next('cancel')).toMatchObject({ execution_id: id });
    agent.report(agent.ended(id, { status: 'cancelled', error_code: 'cancelled' }));
    expect(await two.end(running)).toMatchObject({ status: 'cancelled' });
    expect(agent.received.filter((frame) => frame.type === 'cancel')).toHaveLength(1);
  });

  test('a signal reaches the agent, and the answer says so', async () => {
    const { two, agent, running, id } = await runningElsewhere({ dropHints });
    const sent = two.control.signal({ execution: running, signal: 'SIGHUP' });
    expect(await agent.next('signal')).toMatchObject({ execution_id: id, signal: 'SIGHUP' });
    expect(await sent).toBe('sent');
  });

  test("usage comes from the runner, and is unknown if the agent's version does not report it", async () => {
    const { two, agent, running, id } = await runningElsewhere({ dropHints, features: ['usage'] });
    const told = two.control.usage(running);
    expect(await agent.next('usage_query')).toMatchObject({ execution_id: id });
    const usage = { cpu_user_ms: 20, cpu_system_ms: 10, max_memory_bytes: 4096 };
    agent.send({ type: 'usage', execution_id: id, usage });
    expect(await told).toEqual(usage);
    const older = await runningElsewhere({ dropHints });
    expect(await older.two.control.usage(older.running)).toBeUndefined();
  });

  test("stdin reaches the runner at its offset, and the answer has the runner's offset", async () => {
    const { two, agent, running, id } = await runningElsewhere({ dropHints, stdin: 'open' });
    const written = two.control.writeStdin({
      execution: running,
      bytes: Buffer.from('hello'),
      close: true,
      signal: new AbortController().signal,
    });
    await agent.next('stdin');
    agent.send({ type: 'stdin_ack', execution_id: id, offset: 0, closed: false });
    const piece = await agent.next('stdin');
    expect([piece.attachment.toString(), piece.offset, piece.close]).toEqual(['hello', 0, true]);
    agent.send({ type: 'stdin_ack', execution_id: id, offset: 5, closed: true });
    expect(await written).toEqual({ outcome: 'written', offset: 5, closed: true });
  });

  test.each([
    ['the server of the agent', 'one'],
    ['another server', 'two'],
  ] as const)(
    'stdin through %s, whose connection is lost, is written once, at its offset, after the agent has moved',
    async (_name, via) => {
      const servers = await runningElsewhere({ dropHints, stdin: 'open' });
      const { two, agent, credential, running, id } = servers;
      const { signal } = new AbortController();
      const written = servers[via].control.writeStdin({
        execution: running,
        bytes: Buffer.from('hello'),
        close: false,
        signal,
      });
      await agent.next('stdin');
      agent.send({ type: 'stdin_ack', execution_id: id, offset: 3, closed: false });
      expect(await agent.next('stdin')).toMatchObject({ offset: 3 });
      await agent.close();
      const moved = await ScriptedAgent.join(two.url, credential);
      expect((await moved.next('stdin')).attachment).toHaveLength(0);
      moved.send({ type: 'stdin_ack', execution_id: id, offset: 8, closed: false });
      expect(await written).toEqual({ outcome: 'written', offset: 8, closed: false });
      const pieces = moved.received.filter((frame) => frame.type === 'stdin');
      expect(pieces.map(({ attachment }) => attachment.length)).toEqual([0]);
    },
  );

  test('a replaced credential closes the connection, whichever server replaced it', async () => {
    const { two, agent } = await twoServers({ dropHints });
    await two.control.credentialChanged('dm-one');
    expect(await agent.closed).toMatchObject({ code: CLOSE.revoked });
  });

  test('a machine that is removed has its executions killed and its connection closed', async () => {
    const { two, agent, id } = await runningElsewhere({ dropHints });
    await two.control.machineRemoved('dm-one', []);
    expect((await agent.next('forget')).execution_ids).toEqual([id]);
    expect(await agent.closed).toMatchObject({ code: CLOSE.removed });
  });
});

test('a create on one server is dispatched by the other at once, and its end is told, if the two have a connection', async () => {
  const { two, agent } = await twoServers({ dropHints: true, areLinked: true });
  // The first create that is forwarded shows that the servers have met.
  const dispatched = async () => (await two.create()).dispatchNumber;
  await vi.waitUntil(async () => (await dispatched()) !== undefined, { timeout: 20_000, interval: 500 });
  const created = await two.create();
  expect(created).toMatchObject({ status: 'queued', dispatchNumber: expect.any(Number) });
  const ended = two.end(created);
  const reads = vi.spyOn(two.store, 'getExecution');
  for (let id = ''; id !== created.executionId; ) id = (await agent.runNext()).execution_id;
  expect(await ended).toMatchObject({ status: 'succeeded' });
  expect(reads).not.toHaveBeenCalled();
});

test('agents notice a server that hangs after two heartbeats of 10 s, so that another one serves their machines within 30 s', async () => {
  const { agent } = await twoServers();
  expect(agent.received.find((frame) => frame.type === 'welcome')).toMatchObject({ heartbeat_ms: 10_000 });
});

test('a machine that no server holds is away for every server', async () => {
  const { two, agent, running } = await runningElsewhere();
  await agent.cut();
  await expect.poll(() => two.connected('dm-one'), POLL).toBe(false);
  expect(await two.control.signal({ execution: running, signal: 'SIGHUP' })).toBe('agent_away');
  expect(await two.control.rotateCredential({ machineId: 'dm-one', joinToken: 'xpj_x' })).toBe('agent_away');
});

test('a request for a new credential reaches the agent through the server that holds it', async () => {
  const { two, agent } = await twoServers();
  const sent = two.control.rotateCredential({ machineId: 'dm-one', joinToken: 'xpj_token' });
  expect(await agent.next('rotate')).toMatchObject({ join_token: 'xpj_token' });
  expect(await sent).toBe('sent');
});

test('two servers that believe they hold an agent: only the newer connection marks, and nothing starts twice (fault 55)', async () => {
  const { one, two, agent, credential } = await twoServers();
  // The first server does not notice that the agent has moved: no FIN, no hint.
  const moved = await ScriptedAgent.join(two.url, credential);
  const onFirst = await one.create();
  const onSecond = await two.create();
  const started = [await moved.next('start'), await moved.next('start')].map((start) => start.execution_id);
  expect(started.toSorted()).toEqual([onFirst.executionId, onSecond.executionId].toSorted());
  expect(agent.received.filter((frame) => frame.type === 'start')).toEqual([]);
  // The first server reads that in the database and closes the connection.
  expect(await agent.closed).toMatchObject({ code: CLOSE.restart });
  expect(await two.connected('dm-one')).toBe(true);
});

test('another instance is refused while the first server holds a connection; that server probes it, and drops it if it is silent', async () => {
  const { two, agent, credential } = await twoServers();
  // A half-open connection: the agent reads nothing and answers nothing.
  agent.ws.pause();
  const refused = await ScriptedAgent.open(two.url, credential);
  refused.hello({ runner_instance: 'runner-2' });
  expect(await refused.closed).toMatchObject({ code: CLOSE.duplicate });
  await vi.waitUntil(async () => !(await two.connected('dm-one')), POLL);
  const admitted = await ScriptedAgent.join(two.url, credential, { runner_instance: 'runner-2' });
  await two.create();
  await admitted.runNext();
  agent.ws.terminate();
});

test('a server that the others believed dead drops all its agents, and accepts them again under a new name', async () => {
  const { cluster, one, oneMember, agent, credential } = await twoServers();
  await cluster.kill(oneMember);
  expect(await agent.closed).toMatchObject({ code: CLOSE.restart });
  const back = await ScriptedAgent.join(one.url, credential, { last_dispatch_number: 0 });
  await one.create();
  await back.runNext();
});

test('a server that cannot reach the database is not ready and accepts no agent, until it can reach it again (fault 52)', async () => {
  const { one, oneMember, credential, agent } = await twoServers();
  expect(one.control.ready).toBe(true);
  oneMember.cutOff();
  await expect.poll(() => one.control.ready, POLL).toBe(false);
  await expect(ScriptedAgent.open(one.url, credential)).rejects.toMatchObject({ status: 503 });
  // Agents stay connected: their commands keep running, and the outage can be short.
  expect(agent.ws.readyState).toBe(agent.ws.OPEN);
  oneMember.reconnect();
  await expect.poll(() => one.control.ready, POLL).toBe(true);
});

test('all servers write times by the clock of the database (fault 58)', async () => {
  const { cluster, one } = await twoServers();
  cluster.clockOffsetMs = -3_600_000;
  await expect.poll(() => Date.now() - one.control.now(), POLL).toBeGreaterThan(3_500_000);
  const created = await one.create();
  expect(Date.now() - created.createdAt).toBeGreaterThan(3_500_000);
});

test('a server that stops is no longer ready, and its agents move to the other', async () => {
  const { one, two, agent, credential } = await twoServers();
  const stopped = one.stop();
  expect(one.control.ready).toBe(false);
  expect(await agent.closed).toMatchObject({ code: CLOSE.restart });
  const moved = await ScriptedAgent.join(two.url, credential);
  await stopped;
  await two.create();
  await moved.runNext();
  expect(two.control.servers).toBeGreaterThanOrEqual(1);
});
