/** `execplane doctor` on a host with both, and its findings when one of them is stopped. */
import { chmodSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, type Settings, World } from '../../../helpers/harness.ts';

interface Finding {
  side: string;
  check: string;
  state: string;
  message: string;
}

let world: World;
let env: Settings;

beforeAll(async () => {
  world = await World.start();
  env = {
    HOME: world.dir,
    EXECPLANE_URL: world.server.url,
    EXECPLANE_PORT: String(world.server.port),
    EXECPLANE_API_KEY: world.server.key,
    EXECPLANE_DATA_DIR: world.server.dataDir,
    EXECPLANE_AGENT_DIR: world.agent.dir,
  };
}, 60_000);
afterAll(() => world.dispose(), 60_000);

async function findings(...args: string[]) {
  const { code, stdout } = await cli(['doctor', '--json', ...args], env);
  const { items } = JSON.parse(stdout) as { items: Finding[] };
  return { code, items, failed: items.filter(({ state }) => state === 'fail').map(({ check }) => check) };
}

test('doctor finds no fault in a healthy server and agent', async () => {
  const { code, items, failed } = await findings();
  expect(failed).toEqual([]);
  expect(code).toBe(0);
  const agent = items.filter(({ side }) => side === 'agent').map(({ check }) => check);
  expect(agent).toEqual([
    ...['agent directory', 'credential', 'policy', 'disk space', 'server', 'tls', 'clock', 'authentication'],
    ...['link', 'runner', 'cgroups', 'spawner'],
  ]);
  const { stdout } = await cli(['doctor', 'agent'], env);
  expect(stdout).toMatch(/^ok {4}agent authentication: the credential is accepted\.$/m);
  // The check does not disturb the runner.
  expect(world.agent.log).not.toContain('the connection ended');
});

test('doctor reports a missing link, and exits with 1', async () => {
  await world.agent.killLink();
  const { code, items, failed } = await findings('agent');
  expect(failed).toEqual(['link']);
  expect(items.find(({ check }) => check === 'link')?.message).toContain('only the runner');
  expect(code).toBe(1);
  world.agent.restart();
  await world.connected();
});

test('doctor reports a missing server for both sides', async () => {
  await world.server.stop();
  expect((await findings('server')).failed).toEqual(['port']);
  expect((await findings('agent')).failed).toContain('server');
  await world.server.restart();
  await world.connected();
});

test('doctor reports that the machine was removed and that the directory is open to others', async () => {
  const other = await world.join('dm-removed');
  await world.client.ask('DELETE', '/v1/machines/dm-removed');
  chmodSync(other.dir, 0o755);
  const { failed } = await findings('agent', '--agent-dir', other.dir);
  expect(failed).toEqual(expect.arrayContaining(['agent directory', 'authentication']));
  chmodSync(other.dir, 0o700);
});

test('doctor without a server and an agent asks for a directory, and exits with 2', async () => {
  const nowhere = { HOME: world.dir, EXECPLANE_DATA_DIR: '/nowhere', EXECPLANE_AGENT_DIR: '/nowhere' };
  expect(await cli(['doctor'], nowhere)).toMatchObject({ code: 2, stderr: expect.stringContaining('--data-dir') });
});
