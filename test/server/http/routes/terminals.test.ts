/** Terminals over HTTP, on a server whose machine is offline. */
import { expect, test } from 'vitest';
import { type RunningTestServer, runningServer } from '../../../helpers/running-server.ts';

const MACHINE = '/v1/machines/dm-one';

async function terminalOf(server: RunningTestServer): Promise<string> {
  const body = { width: 80, height: 24 };
  const { terminal_id: id } = await server.client.ask<{ terminal_id: string }>('POST', `${MACHINE}/terminals`, {
    body,
  });
  return id;
}

test('a repeated close gets the same answer, and another request with its Idempotency-Key is refused', async () => {
  await using server = await runningServer();
  await server.machine('dm-one');
  const [one, other] = [await terminalOf(server), await terminalOf(server)];
  const headers = { 'idempotency-key': 'close' };
  const close = (id: string) => server.client.request('DELETE', `${MACHINE}/terminals/${id}`, { headers });
  const [first, again, reused] = [await close(one), await close(one), await close(other)];
  expect([first.status, again.status, reused.status]).toEqual([200, 200, 409]);
  expect(again.json).toEqual(first.json);
  expect([first, again].map((answer) => answer.headers.get('idempotency-replayed'))).toEqual([null, 'true']);
  expect(reused.json).toMatchObject({ error_code: 'IDEMPOTENCY_KEY_REUSED' });
  expect(await server.client.ask('GET', `${MACHINE}/terminals/${other}`)).toMatchObject({ status: 'wake_in_progress' });
  const { items } = await server.client.ask<{ items: { action: string }[] }>('GET', '/v1/audit');
  expect(items.filter(({ action }) => action === 'terminal.close')).toHaveLength(1);
});

test('a terminal cannot be cancelled as an execution', async () => {
  await using server = await runningServer();
  await server.machine('dm-one');
  const id = await terminalOf(server);
  expect((await server.client.request('DELETE', `${MACHINE}/executions/${id}`)).status).toBe(404);
  expect(await server.client.ask('GET', `${MACHINE}/terminals/${id}`)).toMatchObject({ status: 'wake_in_progress' });
});
