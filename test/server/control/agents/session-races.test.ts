import { describe, expect, test } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { Gates } from '../../../helpers/gated-store.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

/** A control plane with a connected agent that has no waiting executions and gets each create at once. */
async function settled() {
  const gates = new Gates();
  const plane = await TestPlane.start({ wrap: gates.wrap });
  const credential = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, credential);
  await plane.create();
  await agent.runNext();
  await agent.next('ack');
  return { gates, plane, credential, agent };
}

describe('races between commits, connections and cancels', () => {
  test('a create that commits while the link drops is sent over the next link of the instance, once', async () => {
    const { gates, plane, credential, agent } = await settled();
    const gate = gates.holdBefore('createExecution');
    const creating = plane.create();
    await gate.reached;
    await agent.cut();
    const second = await ScriptedAgent.open(plane.url, credential);
    second.hello({ last_dispatch_number: 1 });
    await turns(second);
    gate.release();
    const created = await creating;
    await second.next('welcome');
    expect(await second.runNext()).toMatchObject({ execution_id: created.executionId, dispatch_number: 2 });
    expect(await plane.end(created)).toMatchObject({ status: 'succeeded' });
    await plane.create();
    expect(await second.next('start')).toMatchObject({ dispatch_number: 3 });
  });

  test('starts are sent by rising numbers even if their commits are answered out of order', async () => {
    const { gates, plane, agent } = await settled();
    const gate = gates.hold('createExecution');
    const slow = plane.create();
    await gate.reached;
    gates.pass('createExecution');
    const quick = await plane.create();
    // The second create is committed and answered. Its start waits for the start of the first, which was marked earlier.
    expect(quick).toMatchObject({ dispatchNumber: 3 });
    await turns(agent);
    expect(agent.received.filter((frame) => frame.type === 'start')).toHaveLength(1);
    gate.release();
    await slow;
    expect(await agent.next('start')).toMatchObject({ dispatch_number: 2 });
    expect(await agent.next('start')).toMatchObject({ dispatch_number: 3 });
  });
});

test('a dispatch number that the database gives out again is never sent; the next hello tells what the agent has, and raises the numbers', async () => {
  let lost = true;
  const plane = await TestPlane.start({
    wrap: (store) => ({
      ...store,
      machineConnected: (p) => store.machineConnected(lost ? { ...p, lastDispatchNumber: 0 } : p),
    }),
  });
  const credential = await plane.machine();
  const agent = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 5 });
  const { executionId } = await plane.create();
  expect(await agent.closed).toMatchObject({ code: CLOSE.restart });
  expect(agent.received.map(({ type }) => type)).not.toContain('start');
  lost = false;
  const held = [{ execution_id: executionId, state: 'running' as const, reported: 0 }];
  const back = await ScriptedAgent.open(plane.url, credential);
  back.hello({ last_dispatch_number: 5, held });
  expect(await back.next('welcome')).toMatchObject({ acks: [[executionId, 0]], forget: [] });
  await plane.create();
  expect(await back.next('start')).toMatchObject({ dispatch_number: 6 });
});

test('a cancel that commits before the start is sent follows right after it', async () => {
  const { gates, plane, agent } = await settled();
  const gate = gates.hold('createExecution');
  const creating = plane.create();
  await gate.reached;
  const [execution] = (await plane.store.listExecutions({ machineId: 'dm-one', limit: 1 })).items;
  const { machineId, executionId } = execution ?? expect.fail('nothing was created');
  await plane.control.cancel({ machineId, executionId, by: 'admin' });
  gate.release();
  await creating;
  await agent.next('start');
  expect(await agent.next('cancel')).toMatchObject({ execution_id: executionId });
});

test('a cancel that commits while its agent is reconciled is sent after the welcome', async () => {
  const { gates, plane, credential, agent } = await settled();
  const running = await plane.create();
  const underWay = await plane.create();
  await agent.next('start');
  await agent.next('start');
  await agent.cut();
  const gate = gates.hold('endUndelivered');
  const second = await ScriptedAgent.open(plane.url, credential);
  const held = [{ execution_id: running.executionId, state: 'running' as const, reported: 0 }];
  second.hello({ last_dispatch_number: 2, held });
  await gate.reached;
  for (const { machineId, executionId } of [running, underWay]) {
    await plane.control.cancel({ machineId, executionId, by: 'admin' });
  }
  gate.release();
  await second.next('start');
  const cancelled = [await second.next('cancel'), await second.next('cancel')].map((frame) => frame.execution_id);
  expect(cancelled.toSorted()).toEqual([running.executionId, underWay.executionId].toSorted());
});

test('a machine whose agent reconnects before its disconnect is written ends as connected', async () => {
  const { gates, plane, credential, agent } = await settled();
  const gate = gates.holdBefore('machineDisconnected');
  await agent.cut();
  await gate.reached;
  const second = await ScriptedAgent.open(plane.url, credential);
  second.hello({ last_dispatch_number: 1 });
  await turns(second);
  gate.release();
  await second.next('welcome');
  await plane.create();
  await second.runNext();
  expect(await plane.store.getMachine({ machineId: 'dm-one' })).toMatchObject({ phase: 'running' });
});

test('an execution that is created while a claim finds nothing is claimed by the next', async () => {
  const { gates, plane, agent } = await settled();
  agent.send({ type: 'capacity', accepting: false });
  await turns(agent);
  const first = await plane.create();
  const gate = gates.hold('claimQueued');
  agent.send({ type: 'capacity', accepting: true });
  await gate.reached;
  // The claim has run and found fewer executions than its limit. The session must not miss this later create.
  const second = await plane.create();
  gate.release();
  expect(await agent.next('start')).toMatchObject({ execution_id: first.executionId });
  expect(await agent.next('start')).toMatchObject({ execution_id: second.executionId });
});

/** Lets the server run: each answer to a ping takes a few turns of its event loop. */
async function turns(agent: ScriptedAgent): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    agent.ws.ping();
    await new Promise((resolve) => agent.ws.once('pong', resolve));
  }
}
