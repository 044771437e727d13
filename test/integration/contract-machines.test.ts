/** Contract §1, machines. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WirePage } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';
import { processesWith, until } from '../helpers/processes.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

interface Machine {
  machine_id: string;
  vcpu: number;
  memory_mib: number;
  storage_gib: number;
  desired_state: string;
  created_at?: string;
  status: { phase: string; reason: string; retryable: boolean; revision: string };
}

describe('machines', () => {
  const FIELDS = ['machine_id', 'vcpu', 'memory_mib', 'storage_gib', 'autosleep_seconds', 'desired_state', 'status'];

  test("a connected machine is running, with agent_connected and the agent's report", async () => {
    const { json } = await deployment.client.get<Machine>('/v1/machines/dm-test');
    expect(Object.keys(json).sort()).toEqual(FIELDS.toSorted());
    expect(json).toMatchObject({
      machine_id: 'dm-test',
      autosleep_seconds: 0,
      desired_state: 'running',
      status: {
        phase: 'running',
        reason: 'agent_connected',
        revision: expect.any(String),
        last_transition_at: expect.stringMatching(TIME),
        last_progress_at: expect.stringMatching(TIME),
      },
    });
    expect(json.vcpu).toBeGreaterThan(0);
    expect(json.memory_mib).toBeGreaterThan(0);
    expect(Number.isInteger(json.storage_gib)).toBe(true);
  });

  test('a machine in the list also has created_at', async () => {
    const { json } = await deployment.client.get<WirePage<Machine>>('/v1/machines');
    const machine = json.items.find(({ machine_id }) => machine_id === 'dm-test');
    expect(Object.keys(machine ?? {}).sort()).toEqual([...FIELDS, 'created_at'].sort());
    expect(machine?.created_at).toMatch(TIME);
  });

  test('a machine that never joined is placement_pending, with never_joined and resources of 0', async () => {
    await deployment.joinToken({ machine_id: 'dm-new' });
    expect((await deployment.client.get('/v1/machines/dm-new')).json).toMatchObject({
      vcpu: 0,
      memory_mib: 0,
      storage_gib: 0,
      status: { phase: 'placement_pending', reason: 'never_joined' },
    });
  });

  test('an enrolled machine whose agent is away is sleeping; the revision changes with every transition', async () => {
    const agent = await deployment.join('dm-coming');
    const before = (await deployment.client.get<Machine>('/v1/machines/dm-coming')).json.status.revision;
    await agent.stop();
    await deployment.away(agent);
    const { status } = (await deployment.client.get<Machine>('/v1/machines/dm-coming')).json;
    expect(status).toMatchObject({ phase: 'sleeping', reason: 'agent_away' });
    expect(status.revision).not.toBe(before);
  });

  test('DELETE removes the machine for good: its waiting executions are cancelled, its running ones fail with machine_removed', async () => {
    const agent = await deployment.join('dm-going', { EXECPLANE_MAX_CONCURRENCY: '1' });
    const machine = deployment.client.machine('dm-going');
    const running = await machine.create({ command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'] });
    await machine.printed(running.execution_id, 'ready');
    const waiting = await machine.create({ command: ['/bin/true'] });
    const answer = await deployment.client.request<Machine>('DELETE', '/v1/machines/dm-going');
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ machine_id: 'dm-going', status: { phase: 'destroyed', reason: 'removed' } });
    expect(await machine.read(running.execution_id)).toMatchObject({ status: 'failed', error_code: 'machine_removed' });
    expect(await machine.read(waiting.execution_id)).toMatchObject({
      status: 'cancelled',
      error_code: 'machine_removed',
    });
    const create = await deployment.client.request('POST', machine.path, { body: { command: ['/bin/true'] } });
    expect(create.status).toBe(409);
    const details = { current_desired_state: 'destroyed', current_observed_state: 'destroyed' };
    expect(create.json).toMatchObject({ error_code: 'INVALID_STATE', details });
    await until('its agent has no command any more', () => {
      return processesWith(`EXECUTION_ID=${running.execution_id}`).length === 0;
    });
    await agent.link.end('SIGINT');
  });
});
