import { describe, expect, test } from 'vitest';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

describe('an agent that reconnects', () => {
  test('gets dispatched starts that never arrived again, in order (fault 3)', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const created = [await plane.create(), await plane.create(), await plane.create()];
    for (const _ of created) await first.next('start');
    await first.cut();

    // The agent reports that only the first start arrived.
    const held = [{ execution_id: created[0]?.executionId ?? '', state: 'running' as const, reported: 0 }];
    const second = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
    const again = [await second.next('start'), await second.next('start')];
    expect(again.map((start) => start.dispatch_number)).toEqual([2, 3]);
    expect(again.map((start) => start.execution_id)).toEqual(created.slice(1).map((one) => one.executionId));

    const fresh = await plane.create();
    expect(await second.next('start')).toMatchObject({ execution_id: fresh.executionId, dispatch_number: 4 });
  });

  test('continues where the store is: unacknowledged reports arrive once (faults 4, 5, 8)', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const created = await plane.create();
    const { execution_id: id } = await first.next('start');
    const reports = [first.started(id), first.stdout(id, 'a'), first.stdout(id, 'b'), first.ended(id)];
    first.report(...reports.slice(0, 2));
    await first.next('ack');
    await first.cut();

    const held = [{ execution_id: id, state: 'ended' as const, reported: 4 }];
    const second = await ScriptedAgent.open(plane.url, credential);
    second.hello({ last_dispatch_number: 1, held });
    expect((await second.next('welcome')).acks).toEqual([[id, 2]]);
    second.report(...reports);
    const ended = await plane.end(created);
    expect(ended).toMatchObject({ status: 'succeeded', lastSequence: 5 });
    const events = await plane.store.listEvents({ executionId: id, afterSequence: 0, limit: 100, maxBytes: 1e6 });
    expect(events.map((event) => event.sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(events.map((event) => (event.type === 'stdout' ? event.chunk.toString() : event.type))).toEqual([
      'lifecycle',
      'lifecycle',
      'a',
      'b',
      'lifecycle',
    ]);
  });

  test('is told to forget executions that are over, unknown or of another machine', async () => {
    const plane = await TestPlane.start();
    const other = await plane.create({ machineId: await machineNamed(plane, 'dm-other') });
    const credential = await plane.machine();
    const agent = await ScriptedAgent.open(plane.url, credential);
    const held = ['unknown', other.executionId].map((execution_id) => ({
      execution_id,
      state: 'running' as const,
      reported: 1,
    }));
    agent.hello({ held });
    const welcome = await agent.next('welcome');
    expect(welcome.forget.toSorted()).toEqual([other.executionId, 'unknown'].toSorted());
    expect(welcome.acks).toEqual([]);
  });

  test('loses executions that it accepted and does not hold; so does another instance', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const taken = await plane.create();
    const arrived = await first.next('start');
    await first.cut();
    const second = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: arrived.dispatch_number });
    expect(await plane.end(taken)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });

    const before = await plane.create();
    const kept = await plane.create();
    await second.next('start');
    await second.next('start');
    await second.cut();
    const held = [{ execution_id: kept.executionId, state: 'running' as const, reported: 0 }];
    const third = await ScriptedAgent.join(plane.url, credential, { runner_instance: 'runner-2', held });
    expect(await plane.end(before)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });
    // The journal of the previous instance was recovered: its reports are accepted.
    third.report(third.started(kept.executionId), third.ended(kept.executionId));
    expect(await plane.end(kept)).toMatchObject({ status: 'succeeded' });
    expect(third.received.some((frame) => frame.type === 'start')).toBe(false);
  });

  test('gets a cancel that came while it was away, and starts that had not arrived never start (fault 25)', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const first = await ScriptedAgent.join(plane.url, credential);
    const running = await plane.create();
    const underWay = await plane.create();
    await first.next('start');
    await first.next('start');
    await first.cut();
    for (const { machineId, executionId } of [running, underWay]) {
      expect(await plane.control.cancel({ machineId, executionId, by: 'admin' })).toMatchObject({ outcome: 'applied' });
    }
    const held = [{ execution_id: running.executionId, state: 'running' as const, reported: 0 }];
    const second = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
    expect(await second.next('cancel')).toMatchObject({ execution_id: running.executionId, grace_ms: 5000 });
    expect(await plane.end(underWay)).toMatchObject({ status: 'cancelled', errorCode: 'cancelled' });
    expect(second.received.some((frame) => frame.type === 'start')).toBe(false);
  });
});

describe('cancelling', () => {
  test('a cancel is sent to the agent, whose report decides; a repeat changes nothing (faults 24, 26)', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.join(plane.url, await plane.machine());
    const { machineId, executionId } = await plane.create();
    const cancel = () => plane.control.cancel({ machineId, executionId, by: 'admin' });
    await agent.next('start');
    expect(await cancel()).toMatchObject({ outcome: 'applied', execution: { status: 'queued' } });
    expect(await agent.next('cancel')).toMatchObject({ execution_id: executionId });
    expect(await cancel()).toMatchObject({ outcome: 'stale' });
    // The command had ended before the signal, so its result counts.
    agent.report(agent.started(executionId), agent.ended(executionId));
    const { execution } = (await cancel()) as { execution: Parameters<TestPlane['end']>[0] };
    expect(await plane.end(execution)).toMatchObject({ status: 'succeeded' });
    expect(await cancel()).toMatchObject({ outcome: 'stale', execution: { status: 'succeeded' } });
  });
});

async function machineNamed(plane: TestPlane, machineId: string): Promise<string> {
  await plane.machine(machineId);
  return machineId;
}
