import { describe, expect, test } from 'vitest';
import type { Store } from '../../../../src/store/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

describe('a waiting execution', () => {
  test('is sent when its agent connects, oldest first, up to the number of slots', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const created = [];
    for (let made = 0; made < 5; made += 1) created.push(await plane.create());
    expect(created.every((one) => one.status === 'wake_in_progress')).toBe(true);
    const agent = await ScriptedAgent.join(plane.url, credential, { max_concurrency: 2 });
    const order: string[] = [];
    for (let taken = 0; taken < 2; taken += 1) order.push((await agent.next('start')).execution_id);
    for (const execution of created.slice(2)) expect(await plane.get(execution)).not.toHaveProperty('dispatchedTo');
    for (let ended = 0; ended < 5; ended += 1) {
      agent.report(agent.started(order[ended] ?? ''), agent.ended(order[ended] ?? ''));
      if (order.length < 5) order.push((await agent.next('start')).execution_id);
    }
    expect(order).toEqual(created.map((one) => one.executionId));
    for (const execution of created) expect(await plane.end(execution)).toMatchObject({ status: 'succeeded' });
  });

  test('is looked for only if one waits: an idle agent that connects makes one write', async () => {
    const writes: string[] = [];
    const wrap = (store: Store): Store => {
      const noted =
        <P, R>(name: string, write: (p: P) => R) =>
        (p: P): R => {
          writes.push(name);
          return write(p);
        };
      return {
        ...store,
        machineConnected: noted('connected', store.machineConnected),
        wakeWaiting: noted('wake', store.wakeWaiting),
        claimQueued: noted('claim', store.claimQueued),
      };
    };
    const plane = await TestPlane.start({ wrap });
    const credential = await plane.machine();
    const idle = await ScriptedAgent.join(plane.url, credential);
    await plane.create();
    await idle.runNext();
    expect(writes).toEqual(['connected']);
    await idle.cut();
    await expect.poll(() => plane.connected('dm-one')).toBe(false);
    const waiting = await plane.create();
    const agent = await ScriptedAgent.join(plane.url, credential);
    expect((await agent.runNext()).execution_id).toBe(waiting.executionId);
    expect(writes).toEqual(['connected', 'connected', 'wake', 'claim']);
  });

  test('is sent once, by rising dispatch numbers, even if more wait than fit a batch', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const created = await Promise.all(Array.from({ length: 700 }, () => plane.create()));
    const agent = await ScriptedAgent.join(plane.url, credential, { max_concurrency: 20 });
    const numbers: number[] = [];
    for (const _ of created) numbers.push((await agent.runNext()).dispatch_number);
    expect(numbers).toEqual(created.map((_, index) => index + 1));
    for (const execution of created) expect(await plane.end(execution)).toMatchObject({ status: 'succeeded' });
  }, 60_000);

  test('is sent only if a slot is free, however many are created at once', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.join(plane.url, await plane.machine(), { max_concurrency: 3 });
    const created = await Promise.all(Array.from({ length: 30 }, () => plane.create()));
    let running = 0;
    let most = 0;
    for (let done = 0; done < created.length; done += 1) {
      const start = await agent.next('start');
      running = agent.received.filter((frame) => frame.type === 'start').length - done;
      most = Math.max(most, running);
      agent.report(agent.started(start.execution_id), agent.ended(start.execution_id));
    }
    expect(most).toBeLessThanOrEqual(3);
    for (const execution of created) expect(await plane.end(execution)).toMatchObject({ status: 'succeeded' });
  });

  test('is not sent to an agent that accepts no new work, until it does again', async () => {
    const plane = await TestPlane.start();
    const agent = await ScriptedAgent.open(plane.url, await plane.machine());
    agent.hello();
    agent.send({ type: 'capacity', accepting: false, reason: 'disk_full' });
    await agent.next('welcome');
    const execution = await plane.create();
    agent.ws.ping();
    await new Promise((resolve) => agent.ws.once('pong', resolve));
    expect(await plane.get(execution)).not.toHaveProperty('dispatchedTo');
    agent.send({ type: 'capacity', accepting: true });
    await agent.runNext();
    expect(await plane.end(execution)).toMatchObject({ status: 'succeeded' });
  });

  test('is cancelled at once, and never sent', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const { machineId, executionId } = await plane.create();
    const cancelled = await plane.control.cancel({ machineId, executionId, by: 'admin' });
    expect(cancelled).toMatchObject({ outcome: 'applied', execution: { status: 'cancelled' } });
    const agent = await ScriptedAgent.join(plane.url, credential);
    const next = await plane.create();
    expect(await agent.next('start')).toMatchObject({ execution_id: next.executionId });
  });

  test('expires at its time, and a late agent never starts it (fault 30)', async () => {
    const plane = await TestPlane.start();
    const credential = await plane.machine();
    const later = await plane.create({ startWithinMs: 60_000 });
    const execution = await plane.create({ startWithinMs: 30 });
    expect(await plane.end(execution)).toMatchObject({ status: 'expired', errorCode: 'start_timed_out' });
    const agent = await ScriptedAgent.join(plane.url, credential);
    expect(await agent.next('start')).toMatchObject({ execution_id: later.executionId });
  });
});
