/** `execplane exec`: one text for both streams in the order of the machine, and a result in spite of an outage at the end. */
import { expect, test } from 'vitest';
import { runExec } from '../../../src/cli/exec/run-exec.ts';
import { Execplane } from '../../../src/client/main.ts';
import { baseEnv, MAIN } from '../../helpers/harness.ts';
import { Started } from '../../helpers/processes.ts';
import { runningServer } from '../../helpers/running-server.ts';
import { ScriptedAgent } from '../../helpers/scripted-agent.ts';

const PAIRS = 200;
const WANTED = Array.from({ length: PAIRS }, (_, i) => `o${i}\ne${i}\n`).join('');

test.each([
  ['into a pipe', 'X 2>&1 | cat'],
  ['into a file', 'X > "$TMP_OUT" 2>&1; cat "$TMP_OUT"; rm "$TMP_OUT"'],
])('alternating writes %s keep their order', async (_what, line) => {
  await using server = await runningServer();
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  const env = baseEnv({
    EXECPLANE_URL: server.url,
    EXECPLANE_API_KEY: server.client.key ?? '',
    TMP_OUT: `${server.dir}/out`,
  });
  const prelude = `X() { "${process.execPath}" "${MAIN}" exec dm-one -- alternate; };`;
  const exec = new Started('sh', ['-c', `${prelude} ${line}`], env);
  const { execution_id: id } = await agent.next('start');
  const started = agent.started(id);
  const pairs = Array.from({ length: PAIRS }, (_, i) => [
    agent.record('stdout', id, Buffer.from(`o${i}\n`)),
    agent.record('stderr', id, Buffer.from(`e${i}\n`)),
  ]).flat();
  const bytes = WANTED.length / 2;
  agent.report(started, ...pairs, agent.ended(id, { stdout_bytes: bytes, stderr_bytes: bytes }));
  expect((await exec.exited).code).toBe(0);
  expect(exec.stdout).toBe(WANTED);
  await agent.close();
});

test('a server that dies just after the command has ended delays its exit code, and does not change it', async () => {
  await using server = await runningServer();
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-one'));
  let failures = 0;
  const client = new Execplane({
    url: server.url,
    apiKey: server.client.key ?? '',
    fetch: async (url, request) => {
      if (!/\/executions\/[^/?]+$/.test(url) || failures === 6) return fetch(url, request);
      failures += 1;
      throw new TypeError('fetch failed');
    },
  });
  const request = { machineId: 'dm-one', command: ['true'], options: {}, waitMs: 1000, json: false };
  const exitCode = runExec(client, request);
  const { execution_id: id } = await agent.next('start');
  agent.report(agent.started(id), agent.ended(id, { exit_code: 0 }));
  expect(await exitCode).toBe(0);
  expect(failures).toBe(6);
  await agent.close();
});
