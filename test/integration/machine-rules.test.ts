/** Rules of a machine, end to end: a required policy, and signals above 31. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ agent: { EXECPLANE_POLICY: 'required' } });
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

test('EXECPLANE_POLICY=required: nothing runs until there is a policy.json, which then takes effect at once', async () => {
  const denied = await deployment.machine.run({ command: ['/bin/echo', 'hello'] });
  expect(denied).toMatchObject({ status: 'failed', error_code: 'policy_denied' });
  expect(denied.error_message).toContain('policy.json is missing, and EXECPLANE_POLICY requires it');
  writeFileSync(join(deployment.agent.dir, 'policy.json'), JSON.stringify({ deny_commands: ['/usr/bin/id'] }), {
    mode: 0o600,
  });
  expect(await deployment.machine.run({ command: ['/bin/echo', 'hello'] })).toMatchObject({ status: 'succeeded' });
  expect(await deployment.machine.run({ command: ['/usr/bin/id'] })).toMatchObject({ error_code: 'policy_denied' });
});

test('a command that a real-time signal ends is signaled with its number, and exec exits with 128 plus that number', async () => {
  const { machine, server } = deployment;
  for (const signal of [34, 64]) {
    const killed = await machine.run({ command: ['/bin/sh', '-c', `kill -s ${signal} $$`] });
    expect(killed).toMatchObject({ status: 'failed', error_code: 'signaled', signal });
    expect(killed).not.toHaveProperty('exit_code');
  }
  const env = { EXECPLANE_URL: server.url, EXECPLANE_API_KEY: server.key };
  const shell = await cli(['exec', machine.machineId, '--', '/bin/sh', '-c', 'kill -s 34 $$'], env);
  expect(shell.code).toBe(128 + 34);
});
