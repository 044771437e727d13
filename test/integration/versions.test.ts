/** A server of this build and an agent of the previous release, and a command while that agent is upgraded. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MachineClient } from '../helpers/client.ts';
import { startCounting } from '../helpers/counting.ts';
import { checkOut, earlierRelease } from '../helpers/earlier-release.ts';
import { AgentUnderTest, Deployment, MAIN } from '../helpers/harness.ts';

const release = earlierRelease();
const name = release ?? 'an earlier release: NOT TRIED, for there is no git history here to take one from';

describe.runIf(release !== undefined)(`an agent of ${name}`, () => {
  let earlier: ReturnType<typeof checkOut>;
  let deployment: Deployment;
  let agent: AgentUnderTest;
  let machine: MachineClient;

  beforeAll(async () => {
    earlier = checkOut(release ?? '');
    deployment = await Deployment.start({ machine: null });
    const settings = {
      EXECPLANE_URL: deployment.server.url,
      EXECPLANE_JOIN_TOKEN: await deployment.joinToken({ machine_id: 'dm-test' }),
    };
    agent = new AgentUnderTest(join(deployment.dir, 'agent'), 'dm-test', settings, earlier.main);
    deployment.agents.push(agent);
    await deployment.connected();
    machine = deployment.machine;
  });
  afterAll(async () => {
    await deployment.dispose();
    earlier.dispose();
  });

  test('runs commands, with both streams, their exit code, stdin and environment', async () => {
    const line = 'cat; echo "$WORD" >&2; exit 3';
    const { execution_id: id, ...ended } = await machine.sh(line, { stdin: 'in', env: { WORD: 'err' } });
    expect(ended).toMatchObject({ status: 'failed', exit_code: 3, error_code: 'nonzero_exit' });
    expect(await machine.output(id)).toMatchObject({ stdout: 'in', stderr: 'err\n' });
  });

  test('cancels, enforces the timeout, and reports a missing command', async () => {
    const sleeping = await machine.create({ command: ['sleep', '600'] });
    expect(await machine.cancel(sleeping.execution_id, { wait_ms: 30_000 })).toMatchObject({ status: 'cancelled' });
    expect(await machine.run({ command: ['sleep', '600'], timeout_ms: 50 })).toMatchObject({
      error_code: 'execution_timed_out',
    });
    expect(await machine.run({ command: ['/no/such'] })).toMatchObject({ error_code: 'command_not_found' });
  });

  test('accepts live stdin and signals', async () => {
    const { execution_id: id } = await machine.create({ command: ['cat'], stdin_open: true });
    await deployment.client.ask('POST', machine.at(id, '/stdin'), {
      body: Buffer.from('live'),
      query: { close: true },
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(await machine.ended(id)).toMatchObject({ status: 'succeeded', stdout_bytes: 4 });
    const waiting = await machine.create({
      command: ['sh', '-c', 'trap "exit 7" HUP; echo ready; while :; do sleep 0.01; done'],
    });
    await machine.printed(waiting.execution_id, 'ready');
    await deployment.client.ask('POST', machine.at(waiting.execution_id, '/signal'), { body: { signal: 'SIGHUP' } });
    expect(await machine.ended(waiting.execution_id)).toMatchObject({ exit_code: 7 });
  });

  test('reconnects after the server was killed, and its command loses no byte', async () => {
    const counting = await startCounting(machine, deployment.dir);
    await deployment.server.kill();
    await deployment.server.restart();
    await deployment.connected();
    const { stdout, printed } = await counting.stop();
    expect(stdout).toBe(printed);
  });

  test('is replaced by the link of this build, which takes over its runner: the command loses no byte', async () => {
    const counting = await startCounting(machine, deployment.dir);
    const runner = agent.runnerPid();
    await agent.detach();
    agent.main = MAIN;
    agent.restart();
    await deployment.connected();
    expect(agent.runnerPid()).toBe(runner);
    const { stdout, printed } = await counting.stop();
    expect(stdout).toBe(printed);
    expect(await machine.sh('echo new')).toMatchObject({ status: 'succeeded' });
  });
});
