/** Attacks with the credentials of a stolen agent, with a forged agent, and on enrolment. */
import { expect, test } from 'vitest';
import { CLOSE } from '../../src/core/protocol.ts';
import { runningServer } from '../helpers/running-server.ts';
import { ScriptedAgent, UpgradeRefused } from '../helpers/scripted-agent.ts';

test('a hostile agent that reports on an execution of another machine changes nothing, is disconnected and logged', async () => {
  await using server = await runningServer();
  const victim = await ScriptedAgent.join(server.url, await server.machine('dm-victim'));
  const hostile = await ScriptedAgent.join(server.url, await server.machine('dm-hostile'));
  const { execution_id: id } = await server.client.machine('dm-victim').create({ command: ['true'] });
  await victim.next('start');
  victim.report(victim.started(id), victim.stdout(id, 'mine'));
  await server.client.machine('dm-victim').printed(id, 'mine');
  hostile.report(hostile.record('stdout', id, Buffer.from('forged'), 3), hostile.record('ended', id, {}, 4));
  expect((await hostile.closed).code).toBe(CLOSE.foreignExecution);
  expect(server.log.some((line) => line.includes('reports refused') && line.includes('dm-hostile'))).toBe(true);
  victim.report(victim.ended(id, { stdout_bytes: 4 }));
  expect(await server.client.machine('dm-victim').ended(id)).toMatchObject({ status: 'succeeded', stdout_bytes: 4 });
  expect((await server.client.machine('dm-victim').output(id)).stdout).toBe('mine');
  await victim.close();
});

test('an id that is too long for a close frame ends only the connection of its sender', async () => {
  await using server = await runningServer();
  const hostile = await ScriptedAgent.join(server.url, await server.machine('dm-hostile'));
  hostile.report(hostile.record('stdout', 'é'.repeat(253), Buffer.from('x')));
  const { code, reason } = await hostile.closed;
  expect(code).toBe(CLOSE.foreignExecution);
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  expect((await server.client.get('/readyz')).status).toBe(200);
});

test('a machine that is removed loses its connection at once, its executions end with machine_removed, and its credential and id stop working', async () => {
  await using server = await runningServer();
  const credential = await server.machine('dm-one');
  const agent = await ScriptedAgent.join(server.url, credential, { max_concurrency: 1 });
  const machine = server.client.machine('dm-one');
  const running = await machine.create({ command: ['sleep', '1'] });
  const waiting = await machine.create({ command: ['true'] });
  await agent.next('start');
  await server.client.ask('DELETE', '/v1/machines/dm-one');
  expect((await agent.closed).code).toBe(CLOSE.removed);
  expect(await machine.read(running.execution_id)).toMatchObject({ status: 'failed', error_code: 'machine_removed' });
  expect(await machine.read(waiting.execution_id)).toMatchObject({
    status: 'cancelled',
    error_code: 'machine_removed',
  });
  await expect(ScriptedAgent.open(server.url, credential)).rejects.toMatchObject({ status: 401 });
  const again = await server.client.request('POST', '/v1/join-tokens', { body: { machine_id: 'dm-one' } });
  expect(again.status).toBe(409);
  const { token } = await server.client.ask<{ token: string }>('POST', '/v1/join-tokens', { body: {} });
  expect((await server.enrol(token, 'dm-one')).status).toBe(409);
});

test('a rotation ends a stolen credential and its connection', async () => {
  await using server = await runningServer();
  const stolen = await server.machine('dm-one');
  const agent = await ScriptedAgent.join(server.url, stolen);
  await server.client.ask('POST', '/v1/machines/dm-one/rotate');
  const { join_token: token } = await agent.next('rotate');
  expect((await server.enrol(token, 'dm-other')).status).toBe(409);
  const { status, credential } = await server.enrol(token);
  expect(status).toBe(200);
  expect((await agent.closed).code).toBe(CLOSE.revoked);
  await expect(ScriptedAgent.open(server.url, stolen)).rejects.toBeInstanceOf(UpgradeRefused);
  const back = await ScriptedAgent.join(server.url, credential);
  await back.close();
  expect((await server.enrol(token)).status).toBe(401);
});

test('a rotation needs an admin key and a connected agent', async () => {
  await using server = await runningServer();
  await server.machine('dm-one');
  const body = { name: 'writer', scopes: ['executions:write', 'machines:read'] };
  const { key } = await server.client.ask<{ key: string }>('POST', '/v1/api-keys', { body });
  expect((await server.client.with(key).request('POST', '/v1/machines/dm-one/rotate')).status).toBe(403);
  expect((await server.client.request('POST', '/v1/machines/dm-none/rotate')).status).toBe(404);
  const away = await server.client.request('POST', '/v1/machines/dm-one/rotate');
  expect(away).toMatchObject({ status: 409, json: { details: { reason: 'agent_away' } } });
  const tokens = await server.client.ask<{ items: unknown[] }>('GET', '/v1/join-tokens');
  expect(tokens.items).toStrictEqual([]);
});

test('a join token for new machines cannot take over an existing one, and makes only one when many use it at once', async () => {
  await using server = await runningServer();
  const present = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  const make = () => server.client.ask<{ token: string }>('POST', '/v1/join-tokens', { body: {} });
  const { token } = await make();
  expect((await server.enrol(token, 'dm-one')).status).toBe(409);
  const races = await Promise.all(Array.from({ length: 10 }, () => server.enrol(token)));
  expect(races.filter(({ status }) => status === 200)).toHaveLength(1);
  present.send({ type: 'capacity', accepting: true });
  const { execution_id: id } = await server.client.machine('dm-one').create({ command: ['true'] });
  await present.runNext();
  expect((await server.client.machine('dm-one').ended(id)).status).toBe('succeeded');
  await present.close();
});
