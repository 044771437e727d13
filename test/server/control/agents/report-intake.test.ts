import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import { isPassed, RECORD_HEADER_BYTES, REPORT_KIND } from '../../../../src/core/report.ts';
import { type Store, StoreUnavailableError } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

async function running() {
  const plane = await TestPlane.start();
  const credential = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, credential);
  const execution = await plane.create();
  await agent.next('start');
  return { plane, credential, agent, execution, id: execution.executionId };
}

test('a missing report closes with 4400, and the reports before the gap are kept', async () => {
  const { plane, agent, execution, id } = await running();
  agent.report(agent.started(id), agent.record('stdout', id, Buffer.from('x'), 3));
  expect(await agent.closed).toMatchObject({ code: CLOSE.badFrame });
  expect(await plane.get(execution)).toMatchObject({ status: 'running', reported: 1 });
});

test('a gap that the agent cannot fill ends the execution, and others on the machine continue', async () => {
  const { plane, credential, agent, execution, id } = await running();
  const late = agent.record('stdout', id, Buffer.from('x'), 7);
  agent.report(late);
  await agent.closed;
  const held = [{ execution_id: id, state: 'running' as const, reported: 7 }];
  const again = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
  again.report(late);
  expect(await plane.end(execution)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });
  await again.closed;
  const back = await ScriptedAgent.open(plane.url, credential);
  back.hello({ last_dispatch_number: 1, held });
  expect((await back.next('welcome')).forget).toEqual([id]);
});

test('a report on another machine’s execution closes with 4403 and changes nothing (fault 44)', async () => {
  const { plane, agent } = await running();
  const foreign = await plane.create({ machineId: await named(plane, 'dm-two') });
  agent.report(agent.started(foreign.executionId));
  expect(await agent.closed).toMatchObject({ code: CLOSE.foreignExecution });
  expect(await plane.get(foreign)).toMatchObject({ status: 'wake_in_progress', reported: 0 });
});

test('reports after the end are acknowledged, dropped, and answered with forget (fault 15)', async () => {
  const { plane, agent, execution, id } = await running();
  await plane.store.markLost({ machineId: 'dm-one', epoch: 1, executionIds: [id], reason: 'away', now: Date.now() });
  agent.report(agent.started(id), agent.ended(id));
  expect((await agent.next('ack')).acks).toEqual([[id, 2]]);
  expect((await agent.next('forget')).execution_ids).toEqual([id]);
  expect(await plane.get(execution)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });
});

test.each([
  ['a corrupt record', () => Buffer.alloc(64, 7)],
  ['half a record', (agent: ScriptedAgent, id: string) => agent.started(id).subarray(0, 20)],
  ['a tail of more than 64 KiB', (_agent: ScriptedAgent, id: string) => tailOf(id, 65_537)],
  ['nothing', () => Buffer.alloc(0)],
  ['a record of the journal’s own', (agent: ScriptedAgent, id: string) => journalRecord(agent, id)],
])('%s closes with 4400', async (_what, bytes) => {
  const { plane, agent, execution, id } = await running();
  agent.report(bytes(agent, id));
  expect(await agent.closed).toMatchObject({ code: CLOSE.badFrame });
  expect(await plane.get(execution)).toMatchObject({ reported: 0 });
});

test('records of more than 1 MiB in total close with 1009', async () => {
  const { agent, id } = await running();
  const piece = Buffer.alloc(65_536);
  agent.report(agent.started(id), ...Array.from({ length: 16 }, () => agent.record('stdout', id, piece)));
  expect(await agent.closed).toMatchObject({ code: CLOSE.tooLarge });
});

test('reports are not acknowledged and hardly read while the store cannot be written; later all are acknowledged', async () => {
  let broken = false;
  let refusedOnce: () => void = () => {};
  const refused = new Promise<void>((resolve) => {
    refusedOnce = resolve;
  });
  let appended = 0;
  const wrap = (store: Store): Store => ({
    ...store,
    appendReports: (batch) => {
      if (!broken) {
        appended += batch.records.reduce((sum, report) => sum + (isPassed(report) ? 0 : report.payload.length), 0);
        return store.appendReports(batch);
      }
      refusedOnce();
      return Promise.reject(new StoreUnavailableError('disk full'));
    },
  });
  const plane = await TestPlane.start({ wrap });
  const agent = await ScriptedAgent.join(plane.url, await plane.machine());
  const execution = await plane.create();
  const { execution_id: id } = await agent.next('start');
  broken = true;
  agent.report(agent.started(id));
  await refused;
  const piece = Buffer.alloc(60_000, 'x');
  for (let sent = 0; sent < 266; sent += 1) agent.report(agent.record('stdout', id, piece));
  agent.report(agent.ended(id, { stdout_bytes: 15_960_000 }));
  // 16 MB were sent. The socket buffers are much smaller, so most bytes are still unread.
  expect(agent.ws.bufferedAmount).toBeGreaterThan(1_000_000);
  expect(agent.received.some((frame) => frame.type === 'ack')).toBe(false);
  broken = false;
  expect(await plane.end(execution)).toMatchObject({ status: 'succeeded', stdout: { bytes: 15_960_000 } });
  expect(appended).toBeGreaterThanOrEqual(15_960_000);
  await agent.until((received) =>
    received.some((frame) => frame.type === 'ack' && frame.acks.some(([one, number]) => one === id && number === 268)),
  );
}, 60_000);

/** A record of the end of stdout that is valid except for the size of its payload. */
function tailOf(id: string, bytes: number): Buffer {
  const record = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), Buffer.from(id), Buffer.alloc(bytes)]);
  record.writeUInt32LE(record.length - 8, 0);
  record.writeUInt8(REPORT_KIND.stdout_tail, 8);
  record.writeUInt8(id.length, 9);
  record.writeUInt32LE(1, 12);
  record.writeUInt32LE(crc32(record.subarray(8)), 4);
  return record;
}

function journalRecord(agent: ScriptedAgent, id: string): Buffer {
  const record = agent.record('started', id, { pid: 1 });
  record.writeUInt8(64, 8);
  return record;
}

async function named(plane: TestPlane, machineId: string): Promise<string> {
  await plane.machine(machineId);
  return machineId;
}

test('output above the limit that the agent was given is not stored (finding S5)', async () => {
  const plane = await TestPlane.start({ config: { maxOutputBytes: 100 } });
  const agent = await ScriptedAgent.join(plane.url, await plane.machine());
  const execution = await plane.create();
  const { executionId } = execution;
  expect(await agent.next('start')).toMatchObject({ max_output_bytes: 100 });
  agent.report(agent.started(executionId));
  for (let n = 0; n < 5; n += 1) agent.report(agent.stdout(executionId, 'x'.repeat(60)));
  agent.report(agent.ended(executionId));
  expect(await plane.end(execution)).toMatchObject({ status: 'succeeded', stdout: { bytes: 300, truncated: true } });
  expect(await plane.store.outputBounds({ executionId, stream: 'stdout' })).toEqual({ start: 0, end: 100 });
});
