/** `execplane doctor` on a host with a server and an agent, and its findings when one of them is stopped. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, Deployment, type Settings } from '../../../helpers/harness.ts';

interface Finding {
  side: string;
  check: string;
  state: string;
  message: string;
}

let deployment: Deployment;
let env: Settings;

beforeAll(async () => {
  deployment = await Deployment.start();
  env = {
    HOME: deployment.dir,
    EXECPLANE_URL: deployment.server.url,
    EXECPLANE_PORT: String(deployment.server.port),
    EXECPLANE_API_KEY: deployment.server.key,
    EXECPLANE_DATA_DIR: deployment.server.dataDir,
    EXECPLANE_AGENT_DIR: deployment.agent.dir,
  };
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

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
  expect(deployment.agent.log).not.toContain('the connection ended');
});

test('doctor examines a directory that a flag names, also if it is a file or missing', async () => {
  const file = join(deployment.dir, 'a-file');
  writeFileSync(file, '');
  const missing = join(deployment.dir, 'missing');
  for (const named of [file, missing]) {
    expect((await findings('--data-dir', named)).failed).toContain('data directory');
  }
  for (const named of [file, missing]) {
    expect((await findings('--agent-dir', named)).failed).toContain('agent directory');
  }
});

test('doctor reports a missing link, and exits with 1', async () => {
  await deployment.agent.killLink();
  const { code, items, failed } = await findings('agent');
  expect(failed).toEqual(['link']);
  expect(items.find(({ check }) => check === 'link')?.message).toContain('only the runner');
  expect(code).toBe(1);
  deployment.agent.restart();
  await deployment.connected();
});

test('doctor reports a missing server for both sides', async () => {
  await deployment.server.stop();
  expect((await findings('server')).failed).toEqual(['port']);
  expect((await findings('agent')).failed).toContain('server');
  await deployment.server.restart();
  await deployment.connected();
});

test('doctor reports that the machine was removed and that the directory is open to others', async () => {
  const other = await deployment.join('dm-removed');
  await deployment.client.ask('DELETE', '/v1/machines/dm-removed');
  chmodSync(other.dir, 0o755);
  const { failed } = await findings('agent', '--agent-dir', other.dir);
  expect(failed).toEqual(expect.arrayContaining(['agent directory', 'authentication']));
  chmodSync(other.dir, 0o700);
});

test('doctor without a server and an agent asks for a directory, and exits with 2', async () => {
  const nowhere = { HOME: deployment.dir, EXECPLANE_DATA_DIR: '/nowhere', EXECPLANE_AGENT_DIR: '/nowhere' };
  expect(await cli(['doctor'], nowhere)).toMatchObject({ code: 2, stderr: expect.stringContaining('--data-dir') });
});
