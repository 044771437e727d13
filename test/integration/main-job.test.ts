/** The main use case of Execplane, over HTTP and with a real agent. */
import { createHash, randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { Deployment } from '../helpers/harness.ts';

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '../..');
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

let deployment: Deployment;
let dir: string;
beforeAll(async () => {
  dir = makeDirectory('job');
  deployment = await Deployment.start();
});
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
});

test('a file of 1 MiB is uploaded as base64 through stdin, and a second command verifies its SHA-256', async () => {
  const file = randomBytes(1024 * 1024);
  const upload = await deployment.machine.sh('base64 -d > upload.bin', { stdin: file.toString('base64'), cwd: dir });
  expect(upload).toMatchObject({ status: 'succeeded', stdout_bytes: 0, stderr_bytes: 0 });
  const check = await deployment.machine.run({ command: ['sha256sum', 'upload.bin'], cwd: dir });
  expect((await deployment.machine.output(check.execution_id)).stdout).toBe(`${sha256(file)}  upload.bin\n`);
});

test('the type check of this repository runs as an execution', async () => {
  const execution = await deployment.machine.run({
    command: ['node_modules/.bin/tsc', '--noEmit', '--pretty', 'false', '-p', 'tsconfig.build.json'],
    cwd: REPOSITORY,
    env: { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    timeout_ms: 300_000,
  });
  const { stdout } = await deployment.machine.output(execution.execution_id);
  expect({ status: execution.status, stdout }).toEqual({ status: 'succeeded', stdout: '' });
});

test('10 MB of output are returned byte for byte', async () => {
  const { execution_id, stdout_bytes } = await deployment.machine.sh(`head -c 10000000 /dev/urandom | tee ${dir}/ten`);
  expect(stdout_bytes).toBe(10_000_000);
  const sum = await deployment.machine.run({ command: ['sha256sum', `${dir}/ten`] });
  const expected = (await deployment.machine.output(sum.execution_id)).stdout.slice(0, 64);
  expect(sha256(await deployment.machine.raw(execution_id))).toBe(expected);
});

describe('each kind of end has its own status and error code', () => {
  test('succeeds, fails, is signalled, times out, is cancelled, is missing', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    const ends = await Promise.all([
      deployment.machine.run({ command: ['/bin/true'] }),
      deployment.machine.run({ command: ['/bin/false'] }),
      deployment.machine.sh('kill -KILL $$'),
      deployment.machine.run({ command: ['/bin/sleep', '600'], timeout_ms: 200 }),
      deployment.machine.cancel(execution_id, { wait_ms: 20_000 }),
      deployment.machine.run({ command: ['no-such-command'] }),
    ]);
    expect(ends.map(({ status, error_code, exit_code, signal }) => [status, error_code, exit_code, signal])).toEqual([
      ['succeeded', undefined, 0, undefined],
      ['failed', 'nonzero_exit', 1, undefined],
      ['failed', 'signaled', undefined, 9],
      ['expired', 'execution_timed_out', undefined, 9],
      ['cancelled', 'cancelled', undefined, 15],
      ['failed', 'command_not_found', 127, undefined],
    ]);
  });
});

test('200 executions run at once on one machine, each once and with its own output', async () => {
  const log = join(dir, 'starts');
  const runs = Array.from({ length: 200 }, async (_, n) => {
    const line = `echo ${n} >> ${log}; echo out ${n}; echo err ${n} >&2; exit ${n % 3}`;
    const execution = await deployment.machine.sh(line);
    expect(execution.exit_code).toBe(n % 3);
    const output = await deployment.machine.output(execution.execution_id);
    expect([output.stdout, output.stderr]).toEqual([`out ${n}\n`, `err ${n}\n`]);
    return execution.execution_id;
  });
  expect(new Set(await Promise.all(runs)).size).toBe(200);
  const started = await deployment.machine.run({ command: ['sort', '-n', log] });
  const { stdout } = await deployment.machine.output(started.execution_id);
  expect(stdout).toBe(Array.from({ length: 200 }, (_, n) => `${n}\n`).join(''));
});

test('an execution created while the agent is offline runs when it connects', async () => {
  await deployment.agent.detach();
  await deployment.away();
  const waiting = await deployment.machine.create({ command: ['/bin/echo', 'was away'] });
  expect(waiting).toMatchObject({ status: 'wake_in_progress', retry_after_ms: expect.any(Number) });
  deployment.agent.restart();
  await deployment.connected();
  expect(await deployment.machine.ended(waiting.execution_id)).toMatchObject({ status: 'succeeded' });
  expect((await deployment.machine.output(waiting.execution_id)).stdout).toBe('was away\n');
  const log = await deployment.machine.events(waiting.execution_id);
  expect(log.flatMap(({ status }) => status ?? [])).toEqual(['wake_in_progress', 'queued', 'running', 'succeeded']);
});
