/** The provider of docs/providers.md with real hooks, whose machines are real agents. Two tests run at a time, since most wait for agents. */
import { join } from 'node:path';
import { test as base, expect, type TestContext } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { Deployment } from '../helpers/harness.ts';
import { isAlive, killAll, processesWith, until } from '../helpers/processes.ts';
import { TestProvider } from '../helpers/provider.ts';

interface MachineBody {
  machine_id: string;
  desired_state: string;
  status: { phase: string; reason: string; retryable: boolean; last_error?: string };
}

const test = base.concurrent;

/** Starts a server with the provider and these settings of the provider, until the end of the test. */
async function start({ onTestFinished }: TestContext, settings: Record<string, unknown> = {}) {
  const dir = makeDirectory('provider');
  const provider = new TestProvider(dir);
  const deployment = await Deployment.start({
    machine: null,
    server: { EXECPLANE_PROVIDERS: provider.file(settings) },
  });
  onTestFinished(async () => {
    await deployment.server.stop();
    killAll(processesWith(dir));
    await deployment.dispose();
    await removeDirectory(dir);
  });
  const create = async (body: object = {}) => {
    const { status, json } = await deployment.client.request<MachineBody>('POST', '/v1/machines', { body });
    expect(status).toBe(202);
    return json.machine_id;
  };
  const get = (id: string) => deployment.client.ask<MachineBody>('GET', `/v1/machines/${id}`);
  const reach = (id: string, phase: string) =>
    until(
      () => `${id} is ${phase}\n${JSON.stringify(provider.runs())}\n${deployment.server.log}`,
      async () => (await get(id)).status.phase === phase,
    );
  return {
    ...{ dir, provider, deployment, get, reach },
    create,
    async running() {
      const id = await create();
      await reach(id, 'running');
      return id;
    },
    act: (id: string, what: 'sleep' | 'wake') => deployment.client.request('POST', `/v1/machines/${id}/${what}`),
    run: (id: string, command: string[]) => deployment.client.machine(id).create({ command }, { wait_ms: 50_000 }),
  };
}
type Ground = Awaited<ReturnType<typeof start>>;

/** The names of the hooks that ran. */
const operations = ({ provider }: Ground) => provider.runs().map(({ operation }) => operation);

test('the provider of the docs page creates a machine that joins, runs a command, sleeps, wakes on use and is deleted', async (context) => {
  const ground = await start(context);
  const id = await ground.running();
  const shown = await ground.deployment.client.ask('GET', `/v1/machines/${id}?include=provider`);
  expect(shown).toMatchObject({ machine_id: id, provider: expect.any(String) });
  expect(await ground.get(id)).not.toHaveProperty('provider');
  expect(await ground.run(id, ['echo', 'one'])).toMatchObject({ status: 'succeeded' });
  expect((await ground.act(id, 'sleep')).status).toBe(202);
  await ground.reach(id, 'sleeping');
  expect(await ground.get(id)).toMatchObject({ desired_state: 'sleeping', status: { reason: 'slept' } });
  expect(await ground.run(id, ['echo', 'two'])).toMatchObject({ status: 'succeeded' });
  expect((await ground.deployment.client.request('DELETE', `/v1/machines/${id}`)).status).toBe(202);
  await ground.reach(id, 'destroyed');
  expect(operations(ground)).toEqual(['create', 'sleep', 'wake', 'delete']);
  expect(processesWith(join(ground.dir, 'hooks', 'machines'))).toEqual([]);
});

test('63: twenty wakes at once run one hook', async (context) => {
  const ground = await start(context);
  const id = await ground.running();
  await ground.act(id, 'sleep');
  await ground.reach(id, 'sleeping');
  const wakes = Array.from({ length: 10 }, () => ground.act(id, 'wake'));
  const commands = Array.from({ length: 10 }, (_, n) => ground.run(id, ['echo', String(n)]));
  for (const { status } of await Promise.all(wakes)) expect([200, 202]).toContain(status);
  for (const execution of await Promise.all(commands)) expect(execution).toMatchObject({ status: 'succeeded' });
  expect(operations(ground)).toEqual(['create', 'sleep', 'wake']);
});

test('64: the server dies during a hook: the hook runs again with the same operation id, and there is one machine', async (context) => {
  const ground = await start(context);
  const { provider, deployment } = ground;
  provider.fail('create', 'hang');
  const id = await ground.create();
  await until('the hook is at work', () => provider.runs().length === 1);
  expect(await ground.get(id)).toMatchObject({ status: { phase: 'placement_pending' } });
  await deployment.server.kill();
  provider.mend('create');
  await deployment.server.restart();
  await ground.reach(id, 'running');
  const [first, second, ...more] = provider.runs();
  expect(more).toEqual([]);
  expect([first?.operation, second?.operation]).toEqual(['create', 'create']);
  expect(second?.operationId).toBe(first?.operationId);
  expect(await ground.run(id, ['true'])).toMatchObject({ status: 'succeeded' });
});

test('65: a hook that hangs is killed with all its processes, reported, and tried again', async (context) => {
  const ground = await start(context, { timeout_ms: 1000 });
  const { provider } = ground;
  provider.fail('create', 'hang');
  const id = await ground.create();
  await until('its failure is told', async () => (await ground.get(id)).status.last_error !== undefined);
  expect(await ground.get(id)).toMatchObject({
    status: { phase: 'placement_pending', retryable: true, last_error: 'the hook did not answer within 1000 ms' },
  });
  const [first] = provider.runs();
  expect(isAlive(first?.pid ?? 0)).toBe(false);
  expect(processesWith(`EXECPLANE_OPERATION_ID=${first?.operationId}\0`).length).toBeLessThanOrEqual(3);
  provider.mend('create');
  await ground.reach(id, 'running');
});

test('65: a provider that reports a permanent failure is not asked again, and waiting executions end with wake_failed', async (context) => {
  const ground = await start(context);
  const { provider } = ground;
  const id = await ground.running();
  await ground.act(id, 'sleep');
  await ground.reach(id, 'sleeping');
  provider.fail('wake', 'hopeless');
  expect(await ground.run(id, ['true'])).toMatchObject({
    status: 'failed',
    error_code: 'wake_failed',
    error_message: 'The machine could not be started: no_quota: none left',
  });
  expect(await ground.get(id)).toMatchObject({ status: { phase: 'failed', retryable: false } });
  provider.mend('wake');
  expect(await ground.run(id, ['true'])).toMatchObject({ status: 'succeeded' });
});

test('66: a sleep races a create: the command runs, whichever comes first', async (context) => {
  const ground = await start(context);
  const id = await ground.running();
  for (let round = 0; round < 6; round += 1) {
    const [slept, execution] = await Promise.all([ground.act(id, 'sleep'), ground.run(id, ['echo', String(round)])]);
    expect([200, 202, 409]).toContain(slept.status);
    expect(execution, JSON.stringify(execution)).toMatchObject({ status: 'succeeded' });
  }
  const runs = operations(ground);
  // In all cases wakes and sleeps alternate, and never run at the same time.
  expect(runs.filter((name, n) => n > 0 && name === runs[n - 1])).toEqual([]);
});

test('an idle machine is put to sleep by the server, and a command wakes it', async (context) => {
  const ground = await start(context);
  const id = await ground.create({ autosleep: '1' });
  await ground.reach(id, 'sleeping');
  expect(operations(ground)).toEqual(['create', 'sleep']);
  expect(await ground.run(id, ['true'])).toMatchObject({ status: 'succeeded' });
});
