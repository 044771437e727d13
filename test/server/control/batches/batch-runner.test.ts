/** Batches on a running server with scripted agents, so that tests control the end of each command. */
import { expect, test, vi } from 'vitest';
import { BatchRunner } from '../../../../src/server/control/batches/batch-runner.ts';
import { type BatchStore, StoreUnavailableError } from '../../../../src/store/store.ts';
import { type RunningTestServer, runningServer } from '../../../helpers/running-server.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

interface BatchBody {
  batch_id: string;
  status: string;
  counts: Record<string, number>;
}

/** Machines dm-1, dm-2, …, labelled role=web, each with an agent. */
async function fleet(server: RunningTestServer, size: number): Promise<ScriptedAgent[]> {
  const agents: ScriptedAgent[] = [];
  for (let n = 1; n <= size; n += 1) {
    const credential = await server.machine(`dm-${n}`);
    agents.push(
      await ScriptedAgent.join(server.url, credential, { labels: { role: 'web' }, runner_instance: `runner-${n}` }),
    );
  }
  return agents;
}
const end = (agent: ScriptedAgent, executionId: string, exitCode = 0) => {
  const outcome =
    exitCode === 0 ? {} : { status: 'failed' as const, exit_code: exitCode, error_code: 'nonzero_exit' as const };
  agent.report(agent.started(executionId), agent.ended(executionId, outcome));
};
const create = ({ client }: RunningTestServer, body: object) =>
  client.ask<BatchBody>('POST', '/v1/batches', { body: { command: ['true'], ...body } });
const over = ({ client }: RunningTestServer, { batch_id: id }: BatchBody) =>
  client.ask<BatchBody>('GET', `/v1/batches/${id}`, { query: { wait_ms: 30_000 } });

test('the command of a batch is in the answers that ask for it, and in no other', async () => {
  await using server = await runningServer();
  const [agent] = await fleet(server, 1);
  const batch = await create(server, { selector: { labels: { role: 'web' } } });
  const { execution_id: id } = (await agent?.next('start')) ?? { execution_id: '' };
  if (agent !== undefined) end(agent, id);
  expect(Object.keys(await over(server, batch))).not.toContain('command');
  const ask = (path: string, query: object) => server.client.ask('GET', path, { query: { ...query } });
  const path = `/v1/batches/${batch.batch_id}`;
  expect(await ask(path, { include: 'command' })).toMatchObject({ command: ['true'] });
  expect(await ask('/v1/batches', { include: 'command' })).toMatchObject({ items: [{ command: ['true'] }] });
  expect(JSON.stringify(await ask('/v1/batches', {}))).not.toContain('command');
});

test('a batch runs one execution on each machine, in order, and never more at once than requested', async () => {
  await using server = await runningServer();
  const agents = await fleet(server, 3);
  const batch = await create(server, {
    selector: { labels: { role: 'web' } },
    max_concurrency: 1,
    stdin: 'in',
    env: { A: 'b' },
  });
  expect(batch).toMatchObject({ batch_id: expect.stringMatching(/^batch-/), status: 'running' });
  const ended: string[] = [];
  for (const agent of agents) {
    const start = await agent.next('start');
    expect(start).toMatchObject({ command: ['true'], env: { A: 'b' }, attachment: Buffer.from('in') });
    // The others have no execution yet.
    expect(agents.flatMap(({ received }) => received).filter(({ type }) => type === 'start')).toHaveLength(
      ended.length + 1,
    );
    ended.push(start.execution_id);
    end(agent, start.execution_id);
  }
  expect(await over(server, batch)).toMatchObject({ status: 'succeeded', counts: { succeeded: 3 } });
  const path = `/v1/batches/${batch.batch_id}/executions`;
  const executions = await server.client.ask<{ items: { execution_id: string }[] }>('GET', path);
  expect(executions.items.map(({ execution_id: id }) => id)).toEqual(ended);
});

test('a batch cancels the rest after one failure too many', async () => {
  await using server = await runningServer();
  const agents = await fleet(server, 3);
  const machine_ids = ['dm-2', 'dm-1', 'dm-3'];
  const batch = await create(server, { selector: { machine_ids }, max_concurrency: 1, max_failures: 0 });
  const second = agents[1];
  if (second === undefined) throw new Error('no agent');
  end(second, (await second.next('start')).execution_id, 3);
  expect(await over(server, batch)).toMatchObject({ status: 'failed', counts: { failed: 1, cancelled: 2 } });
});

test('a cancelled batch cancels its running executions and creates no more', async () => {
  await using server = await runningServer();
  const [agent] = await fleet(server, 2);
  if (agent === undefined) throw new Error('no agent');
  const batch = await create(server, { selector: { machine_ids: ['dm-1', 'dm-2'] }, max_concurrency: 1 });
  const { execution_id: id } = await agent.next('start');
  agent.report(agent.started(id));
  await server.client.ask('DELETE', `/v1/batches/${batch.batch_id}`);
  expect((await agent.next('cancel')).execution_id).toBe(id);
  agent.report(agent.ended(id, { status: 'cancelled', error_code: 'cancelled' }));
  expect(await over(server, batch)).toMatchObject({ status: 'cancelled', counts: { cancelled: 2 } });
});

test('a repeated create returns the same batch, and runs nothing twice', async () => {
  await using server = await runningServer();
  const [agent] = await fleet(server, 1);
  if (agent === undefined) throw new Error('no agent');
  const sent = {
    body: { command: ['true'], selector: { machine_ids: ['dm-1'] } },
    headers: { 'idempotency-key': 'once' },
  };
  const first = await server.client.request<BatchBody>('POST', '/v1/batches', sent);
  const second = await server.client.request<BatchBody>('POST', '/v1/batches', sent);
  expect(second.json.batch_id).toBe(first.json.batch_id);
  end(agent, (await agent.next('start')).execution_id);
  expect(await over(server, first.json)).toMatchObject({ status: 'succeeded', counts: { succeeded: 1 } });
  expect(agent.received.filter(({ type }) => type === 'start')).toHaveLength(1);
});

test('a batch continues where the previous server stopped', async () => {
  await using server = await runningServer();
  await fleet(server, 1);
  const waiting = await server.machine('dm-away');
  const batch = await create(server, { selector: { machine_ids: ['dm-away', 'dm-1'] }, max_concurrency: 1 });
  await server.restart();
  const back = await ScriptedAgent.join(server.url, waiting, { runner_instance: 'runner-away' });
  end(back, (await back.next('start')).execution_id);
  const stillRunning = await server.client.ask<BatchBody>('GET', `/v1/batches/${batch.batch_id}`);
  expect(stillRunning.status).toBe('running');
  await server.client.ask('DELETE', `/v1/batches/${batch.batch_id}`);
  expect(await over(server, batch)).toMatchObject({ status: 'cancelled', counts: { succeeded: 1, cancelled: 1 } });
});

test('a selector that selects nothing, names an unknown machine, or has both ids and labels is refused', async () => {
  await using server = await runningServer();
  for (const selector of [
    {},
    { labels: {} },
    { labels: { role: 'none' } },
    { machine_ids: ['dm-none'] },
    { labels: { a: 'b' }, machine_ids: ['dm-1'] },
  ]) {
    const { status } = await server.client.request('POST', '/v1/batches', { body: { command: ['true'], selector } });
    expect(status, JSON.stringify(selector)).toBe(422);
  }
  expect((await server.client.request('GET', '/v1/batches/batch-none')).status).toBe(404);
});

test('a store that is unavailable when a server starts is asked again, and its batches continue', async () => {
  const advanced = Promise.withResolvers<string>();
  const listRunningBatches = vi
    .fn<BatchStore['listRunningBatches']>()
    .mockRejectedValueOnce(new StoreUnavailableError('away'))
    .mockResolvedValue(['batch-1']);
  const advanceBatch: BatchStore['advanceBatch'] = async ({ batchId }) => {
    advanced.resolve(batchId);
    return undefined;
  };
  const warn = vi.fn();
  const runner = new BatchRunner({
    store: { listRunningBatches, advanceBatch } as unknown as BatchStore,
    sealer: {
      seal: () => undefined,
      sealInTurns: async () => undefined,
      open: () => ({ env: {}, stdin: Buffer.alloc(0) }),
    },
    control: () => {
      throw new Error('nothing is to be made');
    },
    log: { warn },
    now: () => 0,
    pollMs: 10,
  });
  await runner.start();
  expect(await advanced.promise).toBe('batch-1');
  await runner.stop();
  expect(warn).toHaveBeenCalledOnce();
});
