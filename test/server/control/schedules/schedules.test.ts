/** Schedules on a running server: the tick, the command on the machine, and the history. */
import { expect, test } from 'vitest';
import { type RunningTestServer, runningServer } from '../../../helpers/running-server.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

interface Run {
  outcome: string;
  reason?: string;
  batch?: { batch_id: string; status: string };
}
const every = ({ client }: RunningTestServer, body: object) =>
  client.ask<{ schedule_id: string }>('POST', '/v1/schedules', {
    body: { every: '1s', selector: { labels: { role: 'web' } }, command: ['backup'], ...body },
  });
const runsOf = async ({ client }: RunningTestServer, id: string) =>
  (await client.ask<{ items: Run[] }>('GET', `/v1/schedules/${id}/runs`)).items;

test('a tick runs the command, with its env and stdin, on the machines that match at that time', async () => {
  await using server = await runningServer();
  const { schedule_id: id } = await every(server, { env: { A: 'b' }, stdin: 'in', overlap: 'queue' });
  // The machine joins after the schedule was made.
  const labels = { role: 'web' };
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-1'), { labels });
  const start = await agent.next('start');
  expect(start).toMatchObject({ command: ['backup'], env: { A: 'b' }, attachment: Buffer.from('in') });
  agent.report(agent.started(start.execution_id), agent.ended(start.execution_id, {}));
  // The next tick, or the tick that was postponed.
  const second = await agent.next('start');
  expect(second.execution_id).not.toBe(start.execution_id);
  await server.client.ask('DELETE', `/v1/batches/${await batchOf(server, id)}`);
  await server.client.ask('PATCH', `/v1/schedules/${id}`, { body: { paused: true } });
  const history = await runsOf(server, id);
  expect(history.filter(({ batch }) => batch?.status === 'succeeded')).toHaveLength(1);
});

/** The batch of the newest run with a batch. */
async function batchOf(server: RunningTestServer, id: string): Promise<string> {
  const [run] = (await runsOf(server, id)).filter(({ batch }) => batch !== undefined);
  return String(run?.batch?.batch_id);
}

test('a schedule whose key is revoked runs nothing more, and is paused', async () => {
  await using server = await runningServer();
  const { client } = server;
  await server.machine('dm-1');
  const key = await client.ask<{ key: string; api_key_id: string }>('POST', '/v1/api-keys', {
    body: { name: 'k', scopes: ['executions:write'] },
  });
  const body = { every: '1s', selector: { machine_ids: ['dm-1'] }, command: ['true'], paused: true };
  const { schedule_id: id } = await client
    .with(key.key)
    .ask<{ schedule_id: string }>('POST', '/v1/schedules', { body });
  await client.ask('DELETE', `/v1/api-keys/${key.api_key_id}`);
  await client.ask('PATCH', `/v1/schedules/${id}`, { body: { paused: false } });
  const paused = async () => (await client.ask<{ paused_reason?: string }>('GET', `/v1/schedules/${id}`)).paused_reason;
  await expect.poll(paused, { timeout: 20_000 }).toBe('key_revoked');
  await expect
    .poll(() => runsOf(server, id), { timeout: 20_000 })
    .toMatchObject([{ outcome: 'refused', reason: 'key_revoked' }]);
});
