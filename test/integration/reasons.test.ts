/** `include=reason`: the reasons for the states of executions, machines and terminals, and their text in the CLI while it waits. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startExec } from '../cli/exec-process.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';

interface Told {
  status: string | { phase: string };
  reason?: { message: string; since: string; until?: string; next?: string };
}

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ agent: { EXECPLANE_MAX_CONCURRENCY: '1' } });
});
afterAll(() => deployment.dispose());

const query = { include: 'reason' };
const tell = (path: string) => deployment.client.ask<Told>('GET', path, { query });

test('an execution that waits for a slot says so and when it expires, exec prints it too, and every ended one says how it ended', async () => {
  const blocker = await deployment.machine.create({ command: ['/bin/sleep', '600'] });
  while ((await deployment.machine.read(blocker.execution_id)).status !== 'running');
  expect((await tell(deployment.machine.at(blocker.execution_id))).reason?.message).toBe(
    'running: the command has not ended',
  );
  const waiting = await deployment.machine.create({ command: ['/bin/true'] });
  const { status, reason } = await tell(deployment.machine.at(waiting.execution_id));
  expect([status, reason?.message]).toEqual(['queued', 'queued: the only slot of the machine is busy; position 1']);
  expect(reason?.until).toBe(waiting.expires_at);
  expect(await deployment.client.ask('GET', deployment.machine.at(waiting.execution_id))).not.toHaveProperty('reason');
  const exec = startExec(deployment.server, ['dm-test', '--no-stdin', '--', '/bin/true']);
  let said = '';
  exec.child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
  });
  await until('exec says why it waits', () =>
    said.includes('queued: the only slot of the machine is busy; position 2'),
  );
  const opened = await deployment.client.ask<{ terminal_id: string }>('POST', '/v1/machines/dm-test/terminals', {
    body: { width: 80, height: 24 },
  });
  const terminal = `/v1/machines/dm-test/terminals/${opened.terminal_id}`;
  expect((await tell(terminal)).reason?.message).toBe('queued: the only slot of the machine is busy; position 3');
  await deployment.client.ask('DELETE', terminal);
  await deployment.client.ask('DELETE', deployment.machine.at(blocker.execution_id), { query: { wait_ms: 10_000 } });
  expect((await exec.exited).code).toBe(0);
  expect((await tell(deployment.machine.at(blocker.execution_id))).reason?.message).toBe(
    'cancelled: the execution was cancelled',
  );
});

test('a machine says whether its agent is connected, and an execution that waits for it says so too', async () => {
  expect((await tell('/v1/machines/dm-test')).reason?.message).toBe('running: its agent is connected');
  await deployment.agent.killLink();
  await deployment.away();
  expect((await tell('/v1/machines/dm-test')).reason?.message).toMatch(/^sleeping: .* last seen /);
  const { execution_id } = await deployment.machine.create({ command: ['/bin/true'] });
  expect((await tell(deployment.machine.at(execution_id))).reason?.message).toMatch(
    /^waiting: the machine was last seen /,
  );
  const { items } = await deployment.client.ask<{ items: Told[] }>('GET', '/v1/machines', { query });
  expect(items.map(({ reason }) => typeof reason?.message)).toEqual(['string']);
  deployment.agent.restart();
  await deployment.connected();
});
