/** Output in stream mode passes from the agent to its readers through memory; all that is not released reaches the store, in order. */
import { describe, expect, test } from 'vitest';
import { isPassed } from '../../../../src/core/report.ts';
import type { OpenReader } from '../../../../src/server/control/relay/output-relay.ts';
import type { Execution, Store } from '../../../../src/store/store.ts';
import { type PlaneOptions, TestPlane } from '../../../helpers/control-plane.ts';
import { Gates } from '../../../helpers/gated-store.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

type Stream = 'stdout' | 'stderr';

/** A reader as an HTTP request is one. */
class Reader {
  readonly #streams: Stream[];
  #open: OpenReader | undefined;
  #woken = Promise.withResolvers<void>();

  constructor(streams: Stream[]) {
    this.#streams = streams;
  }

  async open(plane: TestPlane, execution: Execution): Promise<this> {
    const wake = (): void => this.#woken.resolve();
    this.#open = await plane.control.output.open(execution, { streams: this.#streams, wake });
    return this;
  }

  /** Returns what is in memory from `offset` on, once there is something. */
  async memory(offset: number, stream: Stream = 'stdout'): Promise<string> {
    for (;;) {
      const parts = this.#open?.read(stream, offset, 1 << 20) ?? [];
      if (parts.length > 0) return Buffer.concat(parts).toString();
      await this.#woken.promise;
      this.#woken = Promise.withResolvers();
    }
  }

  close(): void {
    this.#open?.close();
  }
}

/** A running execution whose reader has the first two bytes, `ab`, from the store, and releases: the next bytes go through memory. */
async function relayed(p: { streams?: Stream[]; wrap?: PlaneOptions['wrap']; releaseWithinMs?: number } = {}) {
  const { wrap, releaseWithinMs = 3_600_000 } = p;
  const plane = await TestPlane.start({ config: { releaseWithinMs }, ...(wrap !== undefined && { wrap }) });
  const credential = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, credential, { features: ['output_limit'] });
  const execution = await plane.create({ outputMode: 'stream' });
  const { executionId: id } = execution;
  await agent.next('start');
  const reader = await new Reader(p.streams ?? ['stdout']).open(plane, execution);
  agent.report(agent.started(id), agent.stdout(id, 'ab'));
  await acknowledged(agent, id, 2);
  // Output passes through memory while its reader releases.
  await release(plane, execution, 0);
  await agent.next('output_limit');
  return { plane, credential, agent, execution, id, reader };
}

/** Settles when the report is acknowledged: it is on disk. */
function acknowledged(agent: ScriptedAgent, executionId: string, number: number): Promise<void> {
  return agent.until((frames) =>
    frames.some(
      (frame) => frame.type === 'ack' && frame.acks.some(([id, upTo]) => id === executionId && upTo >= number),
    ),
  );
}

const release = (plane: TestPlane, { machineId, executionId }: Execution, offset: number, stream: Stream = 'stdout') =>
  plane.control.output.release({ machineId, executionId, stream, offset });
const bounds = (plane: TestPlane, executionId: string, stream: Stream = 'stdout') =>
  plane.store.outputBounds({ executionId, stream });
const stored = async (plane: TestPlane, executionId: string, offset: number, stream: Stream = 'stdout') =>
  (await plane.store.readStream({ executionId, stream, offset, maxBytes: 1 << 20 })).toString();

describe('output that is read and released', () => {
  test('never reaches the store; only its place does, with the end', async () => {
    let written = 0;
    const wrap = (store: Store): Store => ({
      ...store,
      appendReports: (batch) => {
        for (const report of batch.records)
          if (!isPassed(report) && report.kind === 2) written += report.payload.length;
        return store.appendReports(batch);
      },
    });
    const { plane, agent, execution, id, reader } = await relayed({ wrap });
    agent.report(agent.stdout(id, 'cdef'));
    expect(await reader.memory(2)).toBe('cdef');
    expect(await bounds(plane, id)).toEqual({ start: 0, end: 2 });
    expect(await plane.control.output.bounds(execution, 'stdout')).toMatchObject({ start: 0, end: 6 });
    expect(await release(plane, execution, 6)).toMatchObject({ outcome: 'released', released: { stdout: 6 } });
    expect(await agent.next('output_limit')).toMatchObject({ execution_id: id, stdout: 6 + (1 << 20) });
    agent.report(agent.stdout(id, 'gh'), agent.ended(id, { stdout_bytes: 8 }));
    expect(await plane.end(execution)).toMatchObject({ status: 'succeeded', stdout: { bytes: 8, truncated: false } });
    expect([await bounds(plane, id), await stored(plane, id, 6)]).toEqual([{ start: 6, end: 8 }, 'gh']);
    expect(written).toBe('ab'.length + 'gh'.length);
    reader.close();
  });

  test('is acknowledged in large parts, before the end', async () => {
    const { plane, agent, execution, id, reader } = await relayed();
    const piece = Buffer.alloc(65_536, 'x');
    let offset = 2;
    for (let number = 3; number < 3 + 64; number += 1) {
      agent.report(agent.record('stdout', id, piece));
      await reader.memory(offset);
      offset += piece.length;
      await release(plane, execution, offset);
    }
    await acknowledged(agent, id, 66);
    expect(await bounds(plane, id)).toEqual({ start: offset, end: offset });
    reader.close();
  });

  test('is released once the store has its place: a killed server must not forget what its reader does not release again', async () => {
    const gates = new Gates();
    const { plane, agent, execution, id, reader } = await relayed({ wrap: gates.wrap });
    const piece = Buffer.alloc(65_536, 'x');
    let offset = 2;
    for (let sent = 0; sent < 4; sent += 1) {
      agent.report(agent.record('stdout', id, piece));
      await reader.memory(offset);
      offset += piece.length;
    }
    const write = gates.holdBefore('appendReports');
    const released = release(plane, execution, offset);
    expect(await agent.next('output_limit')).toMatchObject({ stdout: offset + (1 << 20) });
    await write.reached;
    expect(await Promise.race([released, bounds(plane, id)])).toEqual({ start: 0, end: 2 });
    write.release();
    expect(await released).toMatchObject({ outcome: 'released' });
    expect(await bounds(plane, id)).toEqual({ start: offset, end: offset });
    reader.close();
  });

  test('while it is being stored is deleted when it has been stored', async () => {
    const gates = new Gates();
    const { plane, agent, execution, id, reader } = await relayed({ wrap: gates.wrap });
    agent.report(agent.stdout(id, 'cdef'));
    await reader.memory(2);
    const gate = gates.holdBefore('appendReports');
    agent.report(agent.record('progress', id, { stdout_bytes: 6, stderr_bytes: 0 }));
    await gate.reached;
    expect(await release(plane, execution, 5)).toMatchObject({ outcome: 'released' });
    await expect(reader.memory(4)).rejects.toMatchObject({ name: 'OutputReleasedError' });
    const deleted = gates.hold('releaseOutput');
    gate.release();
    await deleted.reached;
    expect(await bounds(plane, id)).toEqual({ start: 5, end: 6 });
    deleted.release();
    reader.close();
  });

  test('of the other stream that nobody has released is stored, and holds up nothing', async () => {
    const { plane, agent, execution, id, reader } = await relayed({ streams: ['stdout', 'stderr'] });
    agent.report(agent.record('stderr', id, Buffer.from('oh')));
    expect(await reader.memory(0, 'stderr')).toBe('oh');
    const piece = Buffer.alloc(65_536, 'x');
    let offset = 2;
    for (let sent = 0; sent < 64; sent += 1) {
      agent.report(agent.record('stdout', id, piece));
      await reader.memory(offset);
      offset += piece.length;
      await release(plane, execution, offset);
    }
    await acknowledged(agent, id, 67);
    expect([await stored(plane, id, 0, 'stderr'), await bounds(plane, id)]).toEqual([
      'oh',
      { start: offset, end: offset },
    ]);
    reader.close();
  });
});

describe('output that is not released is stored', () => {
  test('when its reader leaves', async () => {
    const { plane, agent, id, reader } = await relayed();
    agent.report(agent.stdout(id, 'cd'));
    await reader.memory(2);
    reader.close();
    await acknowledged(agent, id, 3);
    expect(await stored(plane, id, 0)).toBe('abcd');
  });

  test('after a moment without a release, although its reader stays', async () => {
    const { plane, agent, id, reader } = await relayed({ releaseWithinMs: 20 });
    agent.report(agent.stdout(id, 'cd'));
    await acknowledged(agent, id, 3);
    expect(await stored(plane, id, 0)).toBe('abcd');
    reader.close();
  });

  test('when another request reads what is stored', async () => {
    const { plane, agent, id, reader } = await relayed();
    agent.report(agent.stdout(id, 'cd'));
    await reader.memory(2);
    await plane.control.output.store(id);
    expect(await stored(plane, id, 0)).toBe('abcd');
    reader.close();
  });

  test('when the connection of its agent breaks, even if that never comes back', async () => {
    const { plane, agent, execution, id, reader } = await relayed();
    agent.report(agent.stdout(id, 'cd'));
    await reader.memory(2);
    await agent.cut();
    await plane.until(execution, ({ stdout }) => stdout.bytes === 4);
    expect(await stored(plane, id, 0)).toBe('abcd');
    reader.close();
  });

  test('at once while nothing is released', async () => {
    const { plane, agent, id, reader } = await relayed({ releaseWithinMs: 0 });
    agent.report(agent.stdout(id, 'cd'), agent.stdout(id, 'ef'));
    await acknowledged(agent, id, 4);
    expect(await stored(plane, id, 0)).toBe('abcdef');
    reader.close();
  });

  test('before output that nobody reads, and before the end', async () => {
    const { plane, agent, execution, id, reader } = await relayed();
    agent.report(
      agent.stdout(id, 'cd'),
      agent.record('stderr', id, Buffer.from('oh')),
      agent.stdout(id, 'ef'),
      agent.ended(id, { stdout_bytes: 6, stderr_bytes: 2 }),
    );
    const ended = { status: 'succeeded', stdout: { bytes: 6, truncated: false }, stderr: { bytes: 2 } };
    expect(await plane.end(execution)).toMatchObject(ended);
    expect([await stored(plane, id, 0), await stored(plane, id, 0, 'stderr')]).toEqual(['abcdef', 'oh']);
    reader.close();
  });
});

test('a reader may continue after bytes that a killed server had in memory only, and release them once they came again', async () => {
  const { plane, credential, agent, execution, id } = await relayed();
  const held = { execution_id: id, state: 'running' as const, reported: 3 };
  await agent.close();
  // The bytes of report 3 were in the memory of a server that is gone.
  expect(await plane.control.output.bounds(execution, 'stdout')).toMatchObject({ start: 0, end: 2 });
  const { followableTo } = await plane.control.output.bounds(await plane.get(execution), 'stdout');
  expect(followableTo).toBeGreaterThanOrEqual(6);
  expect(await release(plane, execution, 6)).toEqual({ outcome: 'not_yet' });
  const second = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held: [held] });
  expect(await release(plane, execution, 6)).toEqual({ outcome: 'not_yet' });
  second.report(second.record('stdout', id, Buffer.from('cdef'), 3));
  await acknowledged(second, id, 3);
  expect(await release(plane, execution, 7)).toEqual({ outcome: 'past_end' });
  expect(await release(plane, execution, 6)).toMatchObject({ outcome: 'released' });
  expect(await plane.control.output.bounds(await plane.get(execution), 'stdout')).toEqual({
    start: 6,
    end: 6,
    followableTo: 6,
  });
});

test('an agent that connects again is told all that was released here, also what the database does not have yet', async () => {
  const gates = new Gates();
  const { plane, credential, agent, execution, id, reader } = await relayed({ wrap: gates.wrap });
  agent.report(agent.stdout(id, 'cdef'));
  await reader.memory(2);
  expect(await release(plane, execution, 6)).toMatchObject({ outcome: 'released' });
  const write = gates.holdBefore('appendReports');
  await agent.cut();
  await write.reached;
  const held = { execution_id: id, state: 'running' as const, reported: 3 };
  const hello = { last_dispatch_number: 1, held: [held], features: ['output_limit'] };
  const second = await ScriptedAgent.join(plane.url, credential, hello);
  expect(await second.next('output_limit')).toMatchObject({ execution_id: id, stdout: 6 + (1 << 20) });
  write.release();
  reader.close();
});
