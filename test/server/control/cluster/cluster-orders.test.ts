/** Orders between two servers whose messages are lost: the caller gets a true answer, in time. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { StdinWriter } from '../../../../src/core/protocol.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { temporaryDirectory } from '../../../helpers/directories.ts';
import { MemoryCluster } from '../../../helpers/memory-cluster.ts';
import { openTestStore } from '../../../helpers/test-store.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

/** Less than the 55 s for which stdin waits for its runner. */
const SOON_MS = 20_000;

/** Two servers, and an execution with open stdin that the second one created. Its agent is connected to the first. */
async function runningElsewhere() {
  const shared = openTestStore({ path: join(temporaryDirectory('plane'), 'shared.db') });
  onTestFinished(() => shared.close());
  const cluster = new MemoryCluster(shared);
  const start = () => TestPlane.start({ wrap: () => cluster.join().store });
  const [one, two] = [await start(), await start()];
  const agent = await ScriptedAgent.join(one.url, await one.machine(), { features: ['stdin_writers'] });
  const created = await two.create({ stdin: { mode: 'open' } });
  const { execution_id: id } = await agent.next('start');
  agent.report(agent.started(id));
  const running = await two.until(created, ({ status }) => status === 'running');
  const signal = () => two.control.signal({ execution: running, signal: 'SIGHUP' });
  const write = (text: string, writer?: StdinWriter) => {
    const { signal: stays } = new AbortController();
    const numbering = writer === undefined ? {} : { writer };
    const request = { execution: running, bytes: Buffer.from(text), close: false, signal: stays, ...numbering };
    return two.control.writeStdin(request);
  };
  return { cluster, agent, id, signal, write };
}

test('an order whose taking is not answered is carried out soon, once: the caller of stdin waits no longer than that', async () => {
  const { cluster, agent, id, write } = await runningElsewhere();
  cluster.unansweredTakes = 1;
  const begun = performance.now();
  const written = write('hello');
  await agent.next('stdin');
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 0, closed: false });
  expect(await agent.next('stdin')).toMatchObject({ offset: 0 });
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 5, closed: false });
  expect(await written).toEqual({ outcome: 'written', offset: 5, closed: false });
  expect(performance.now() - begun).toBeLessThan(SOON_MS);
  expect(agent.received.filter((frame) => frame.type === 'stdin')).toHaveLength(2);
});

test('an answer that cannot be written is written again', async () => {
  const { cluster, agent, signal } = await runningElsewhere();
  cluster.failedAnswers = 2;
  expect(await signal()).toBe('sent');
  expect(agent.received.filter((frame) => frame.type === 'signal')).toHaveLength(1);
});

test('an order that is not taken in time is withdrawn: its caller hears that nothing was sent, and that stays true', async () => {
  const { cluster, agent, id, signal, write } = await runningElsewhere();
  cluster.blocksInboxes = true;
  const begun = performance.now();
  expect(await Promise.all([signal(), write('hello')])).toEqual(['agent_away', { outcome: 'agent_away' }]);
  expect(performance.now() - begun).toBeLessThan(SOON_MS);
  cluster.blocksInboxes = false;
  const later = write('later');
  await agent.next('stdin');
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 0, closed: false });
  expect((await agent.next('stdin')).attachment.toString()).toBe('later');
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 5, closed: false });
  expect(await later).toMatchObject({ outcome: 'written' });
  expect(agent.received.some((frame) => frame.type === 'signal')).toBe(false);
});

test('a signal that was taken and is not answered in time may have been sent, and its caller hears that', async () => {
  const { cluster, agent, signal } = await runningElsewhere();
  cluster.failedAnswers = Number.POSITIVE_INFINITY;
  expect(await signal()).toBe('unknown');
  expect(agent.received.filter((frame) => frame.type === 'signal')).toHaveLength(1);
});

const WRITER = { id: 'writer-0123456789', offset: 7 };

test('numbered stdin goes to the other server with its numbers', async () => {
  const { agent, id, write } = await runningElsewhere();
  const written = write('hello', WRITER);
  expect(await agent.next('stdin')).toMatchObject({ writer: WRITER });
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 0, closed: false, writer: { ...WRITER, end: 0 } });
  expect(await agent.next('stdin')).toMatchObject({ writer: WRITER, attachment: Buffer.from('hello') });
  const writer = { ...WRITER, offset: 12, end: 5 };
  agent.send({ type: 'stdin_ack', execution_id: id, offset: 5, closed: false, writer });
  expect(await written).toEqual({ outcome: 'written', offset: 5, closed: false });
});

test('a server of an earlier version, which would write repeated input twice, writes no numbered input, and the caller hears why', async () => {
  const { cluster, agent, write } = await runningElsewhere();
  cluster.unknownKinds.add('numbered_stdin');
  expect(await write('hello', WRITER)).toEqual({ outcome: 'no_writers' });
  expect(agent.received.some((frame) => frame.type === 'stdin')).toBe(false);
});

test('numbered stdin for an agent that is offline can be sent again with its numbers', async () => {
  const { agent, write } = await runningElsewhere();
  await agent.close();
  await expect.poll(() => write('hello', WRITER)).toEqual({ outcome: 'agent_away' });
});
