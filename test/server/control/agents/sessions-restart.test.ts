import { expect, test } from 'vitest';
import { CLOSE } from '../../../../src/core/protocol.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { temporaryDirectory } from '../../../helpers/directories.ts';
import { ScriptedAgent, UpgradeRefused } from '../../../helpers/scripted-agent.ts';

test('a server that stops closes agents with 1012 and answers waiting requests; its successor continues (faults 9, 11)', async () => {
  const directory = temporaryDirectory('plane');
  const before = await TestPlane.start({ directory });
  const credential = await before.machine();
  const agent = await ScriptedAgent.join(before.url, credential);
  const created = await before.create();
  const { execution_id: id } = await agent.next('start');
  const reports = [agent.started(id), agent.stdout(id, 'half'), agent.stdout(id, ' of it'), agent.ended(id)];
  agent.report(...reports.slice(0, 2));
  await agent.next('ack');
  const waiting = before.end(await before.get(created));
  await before.stop();
  expect(await waiting).toMatchObject({ status: 'running' });
  expect(await agent.closed).toMatchObject({ code: CLOSE.restart });
  await expect(ScriptedAgent.open(before.url, credential)).rejects.not.toBeInstanceOf(UpgradeRefused);

  const after = await TestPlane.start({ directory });
  expect(await after.store.getMachine({ machineId: 'dm-one' })).toMatchObject({ phase: 'sleeping' });
  const back = await ScriptedAgent.open(after.url, credential);
  back.hello({ last_dispatch_number: 1, held: [{ execution_id: id, state: 'ended', reported: 4 }] });
  expect((await back.next('welcome')).acks).toEqual([[id, 2]]);
  back.report(...reports.slice(2));
  const stdout = { bytes: 10, truncated: false };
  expect(await after.end(await after.get(created))).toMatchObject({ status: 'succeeded', stdout });
});

test('an agent that has accepted more than the server knows of (a restored database) still gets new work', async () => {
  const plane = await TestPlane.start();
  const credential = await plane.machine();
  const agent = await ScriptedAgent.open(plane.url, credential);
  agent.hello({
    last_dispatch_number: 40,
    held: [{ execution_id: 'since-the-backup', state: 'running', reported: 3 }],
  });
  expect((await agent.next('welcome')).forget).toEqual(['since-the-backup']);
  const created = await plane.create();
  expect(await agent.next('start')).toMatchObject({ execution_id: created.executionId, dispatch_number: 41 });
});

test('a server that stops does not wait for an agent that does not answer the close', async () => {
  const plane = await TestPlane.start();
  const agent = await ScriptedAgent.join(plane.url, await plane.machine());
  agent.ws.pause();
  await plane.stop();
  await agent.cut();
});

test('a server that stops accepts no agent', async () => {
  const plane = await TestPlane.start();
  const credential = await plane.machine();
  await plane.control.stop();
  await expect(ScriptedAgent.open(plane.url, credential)).rejects.toMatchObject({ status: 503 });
});
