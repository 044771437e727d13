import { expect, test } from 'vitest';
import type { ControlPlane } from '../../../../src/server/control/control.ts';
import type { Hello, StdinWriter } from '../../../../src/core/protocol.ts';
import type { Execution } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

type Write = Partial<Parameters<ControlPlane['writeStdin']>[0]> & { text?: string };

async function running(hello: Partial<Hello> = {}) {
  const plane = await TestPlane.start();
  const credential = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, credential, hello);
  const created = await plane.create({ stdin: { mode: 'open' } });
  await agent.next('start');
  agent.report(agent.started(created.executionId));
  await agent.next('ack');
  const execution = await plane.get(created);
  const write = ({ text = '', ...rest }: Write = {}) =>
    plane.control.writeStdin({
      execution,
      bytes: Buffer.from(text),
      close: false,
      signal: new AbortController().signal,
      ...rest,
    });
  return { plane, credential, agent, execution, write };
}

/** Simulates the runner: accepts the bytes that fit, and reports its offset. */
class Stdin {
  bytes = Buffer.alloc(0);
  closed = false;
  readonly #id: string;
  readonly #writers = new Map<string, { offset: number; end: number }>();

  constructor(execution: Execution) {
    this.#id = execution.executionId;
  }

  async take(agent: ScriptedAgent): Promise<void> {
    const piece = await agent.next('stdin');
    if (piece.writer !== undefined) return this.#takeOf(piece.writer, piece.attachment, agent);
    const end = piece.offset + piece.attachment.length;
    if (piece.offset <= this.bytes.length && end > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, piece.attachment.subarray(this.bytes.length - piece.offset)]);
    }
    this.closed ||= piece.close && end === this.bytes.length;
    agent.send({ type: 'stdin_ack', execution_id: this.#id, offset: this.bytes.length, closed: this.closed });
  }

  #takeOf({ id, offset }: StdinWriter, bytes: Buffer, agent: ScriptedAgent): void {
    const known = this.#writers.get(id) ?? { offset, end: this.bytes.length };
    const fresh = bytes.subarray(known.offset - offset);
    this.bytes = Buffer.concat([this.bytes, fresh]);
    const position = fresh.length === 0 ? known : { offset: known.offset + fresh.length, end: this.bytes.length };
    this.#writers.set(id, position);
    const writer = { id, ...position };
    agent.send({ type: 'stdin_ack', execution_id: this.#id, offset: this.bytes.length, closed: false, writer });
  }
}

test('pieces arrive in order, at their offset; the answer waits for the runner', async () => {
  const { agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const first = write({ text: 'ab' });
  const second = write({ text: 'cd', close: true });
  for (let frames = 0; frames < 3; frames += 1) await stdin.take(agent);
  expect(await first).toEqual({ outcome: 'written', offset: 2, closed: false });
  expect(await second).toEqual({ outcome: 'written', offset: 4, closed: true });
  expect(stdin.bytes.toString()).toBe('abcd');
});

test('a retry at the same offset writes nothing twice; an offset past the end is refused', async () => {
  const { agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const first = write({ text: 'ab', offset: 0 });
  await stdin.take(agent);
  await stdin.take(agent);
  expect(await first).toMatchObject({ outcome: 'written', offset: 2 });
  const again = write({ text: 'abc', offset: 0 });
  await stdin.take(agent);
  expect(await again).toMatchObject({ outcome: 'written', offset: 3 });
  expect(stdin.bytes.toString()).toBe('abc');
  const far = write({ text: 'x', offset: 9 });
  expect(await far).toEqual({ outcome: 'bad_offset' });
});

test('at most 1 MiB is in flight, in pieces of 256 KiB', async () => {
  const { agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const bytes = Buffer.alloc(3_000_000, 'x');
  const writing = write({ bytes });
  await stdin.take(agent);
  for (let taken = 0; taken < 4; taken += 1) await agent.next('stdin');
  agent.ws.ping();
  await new Promise((resolve) => agent.ws.once('pong', resolve));
  expect(agent.received.filter((frame) => frame.type === 'stdin')).toHaveLength(5);
  agent.send({ type: 'stdin_ack', execution_id: execution.executionId, offset: 1_048_576, closed: false });
  stdin.bytes = bytes.subarray(0, 1_048_576);
  while (stdin.bytes.length < bytes.length) await stdin.take(agent);
  expect(await writing).toMatchObject({ outcome: 'written', offset: 3_000_000 });
});

test("only the first write of a session asks for the runner's offset: each later key takes one round trip", async () => {
  const { plane, credential, agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const first = write({ text: 'a' });
  await stdin.take(agent);
  await stdin.take(agent);
  await first;
  const second = write({ text: 'b' });
  await stdin.take(agent);
  expect(await second).toEqual({ outcome: 'written', offset: 2, closed: false });
  await agent.cut();
  const held = [{ execution_id: execution.executionId, state: 'running' as const, reported: 1 }];
  const back = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
  // Another server may have written in the meantime.
  stdin.bytes = Buffer.from('ab, and more');
  const third = write({ text: 'c' });
  await stdin.take(back);
  await stdin.take(back);
  expect(await third).toEqual({ outcome: 'written', offset: 13, closed: false });
  expect(stdin.bytes.toString()).toBe('ab, and morec');
});

test('the bytes of a client that disconnected are in flight: the next client writes after them, not over them', async () => {
  const { agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const gone = new AbortController();
  const first = write({ text: 'abc', signal: gone.signal });
  await stdin.take(agent);
  const second = write({ text: 'xyz' });
  await agent.until((received) => received.filter(({ type }) => type === 'stdin').length === 2);
  gone.abort();
  await stdin.take(agent);
  expect(await first).toEqual({ outcome: 'agent_away' });
  await stdin.take(agent);
  expect(await second).toEqual({ outcome: 'written', offset: 6, closed: false });
  expect(stdin.bytes.toString()).toBe('abcxyz');
});

test('a link that breaks loses nothing: bytes that were in flight are sent again', async () => {
  const { plane, credential, agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const writing = write({ text: 'hello', close: true });
  await stdin.take(agent);
  await agent.next('stdin');
  await agent.cut();
  const held = [{ execution_id: execution.executionId, state: 'running' as const, reported: 1 }];
  const back = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
  // The first piece requests the runner's offset.
  await stdin.take(back);
  await stdin.take(back);
  expect(await writing).toEqual({ outcome: 'written', offset: 5, closed: true });
  expect(stdin.bytes.toString()).toBe('hello');
});

test('a writer that sends again what it sent over another connection writes only what is new, also after others have written', async () => {
  const { plane, credential, agent, execution, write } = await running({ features: ['stdin_writers'] });
  const stdin = new Stdin(execution);
  const id = 'writer-0123456789';
  const lost = write({ text: 'abc', writer: { id, offset: 0 } });
  for (let frames = 0; frames < 2; frames += 1) await stdin.take(agent);
  expect(await lost).toMatchObject({ outcome: 'written', offset: 3 });
  const other = write({ text: 'XY' });
  await stdin.take(agent);
  expect(await other).toMatchObject({ outcome: 'written', offset: 5 });
  expect(await write({ text: 'abc', writer: { id, offset: 0 } })).toMatchObject({ outcome: 'written', offset: 5 });
  await agent.cut();
  const held = [{ execution_id: execution.executionId, state: 'running' as const, reported: 1 }];
  const hello = { last_dispatch_number: 1, held, features: ['stdin_writers'] };
  const back = await ScriptedAgent.join(plane.url, credential, hello);
  const again = write({ text: 'abcdef', writer: { id, offset: 0 } });
  for (let frames = 0; frames < 2; frames += 1) await stdin.take(back);
  expect(await again).toMatchObject({ outcome: 'written', offset: 8 });
  expect(stdin.bytes.toString()).toBe('abcXYdef');
});

test('an agent of an earlier version gets nothing of a writer, whose bytes it would write twice', async () => {
  const { agent, write } = await running();
  expect(await write({ text: 'abc', writer: { id: 'writer-0123456789', offset: 0 } })).toEqual({
    outcome: 'no_writers',
  });
  expect(agent.received.filter(({ type }) => type === 'stdin')).toEqual([]);
});

test('a write is refused if stdin is not open, the command is not running, the agent is away, or the command ends first', async () => {
  const { plane, agent, execution, write } = await running();
  const writing = write({ text: 'late' });
  agent.report(agent.ended(execution.executionId));
  expect(await writing).toEqual({ outcome: 'not_open' });
  expect(await write({ text: 'x' })).toEqual({ outcome: 'not_open' });
  expect(await write({ execution: await plane.create() })).toEqual({ outcome: 'not_open' });

  const orphan = await plane.create({ stdin: { mode: 'open' } });
  const start = await agent.next('start').then(() => agent.next('start'));
  agent.report(agent.started(start.execution_id));
  await plane.until(orphan, (latest) => latest.status === 'running');
  await agent.cut();
  await expect.poll(() => plane.connected('dm-one'), { timeout: 10_000 }).toBe(false);
  expect(await write({ execution: await plane.get(orphan), text: 'x' })).toEqual({ outcome: 'agent_away' });
  const waiting = await plane.create({ stdin: { mode: 'open' } });
  expect(await write({ execution: waiting, text: 'x' })).toEqual({ outcome: 'not_running' });
});

test('a request whose client disconnects ends, and the next one has its turn', async () => {
  const { agent, execution, write } = await running();
  const stdin = new Stdin(execution);
  const gone = new AbortController();
  const first = write({ text: 'never', signal: gone.signal });
  const second = write({ text: 'ab', offset: 0 });
  gone.abort();
  expect(await first).toEqual({ outcome: 'agent_away' });
  await stdin.take(agent);
  while (stdin.bytes.length < 2) await stdin.take(agent);
  expect(await second).toMatchObject({ outcome: 'written', offset: 2 });
});
