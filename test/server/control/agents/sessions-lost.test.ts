import { expect, test } from 'vitest';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

test('an agent that stays away loses its executions; when it returns it is told to forget them, and a late end changes nothing (fault 15)', async () => {
  const plane = await TestPlane.start({ config: { agentLostAfterMs: 200 } });
  const credential = await plane.machine();
  const first = await ScriptedAgent.join(plane.url, credential);
  const created = await plane.create();
  const { execution_id: id } = await first.next('start');
  first.report(first.started(id), first.stdout(id, 'so far'));
  await first.next('ack');
  await first.cut();
  const lost = await plane.end(await plane.get(created));
  expect(lost).toMatchObject({ status: 'failed', errorCode: 'agent_lost', stdout: { bytes: 6 } });

  const second = await ScriptedAgent.open(plane.url, credential);
  second.hello({ last_dispatch_number: 1, held: [{ execution_id: id, state: 'running', reported: 2 }] });
  expect((await second.next('welcome')).forget).toEqual([id]);
  second.report(first.ended(id));
  await second.next('ack');
  expect(await plane.get(created)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });
});

test('an agent that returns in time loses nothing', async () => {
  const plane = await TestPlane.start({ config: { agentLostAfterMs: 3000 } });
  const credential = await plane.machine();
  const first = await ScriptedAgent.join(plane.url, credential);
  const created = await plane.create();
  const other = await plane.machine('dm-other').then((key) => ScriptedAgent.join(plane.url, key));
  const abandoned = await plane.create({ machineId: 'dm-other' });
  await first.next('start');
  await other.next('start');
  await first.cut();
  await other.cut();
  const held = [{ execution_id: created.executionId, state: 'running' as const, reported: 0 }];
  const second = await ScriptedAgent.join(plane.url, credential, { last_dispatch_number: 1, held });
  // The deadline of both passes. The sweep that ends one must not change the other.
  expect(await plane.end(abandoned)).toMatchObject({ errorCode: 'agent_lost' });
  second.report(second.started(created.executionId), second.ended(created.executionId));
  expect(await plane.end(created)).toMatchObject({ status: 'succeeded' });
});
