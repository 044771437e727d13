/** Streams that a shell has closed (`>&-`): the CLI must not lose data without an error. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseEnv, Deployment, MAIN } from '../../helpers/harness.ts';
import { Started, until } from '../../helpers/processes.ts';

let deployment: Deployment;
let id: string;

beforeAll(async () => {
  deployment = await Deployment.start({});
  await deployment.client.ask('PATCH', '/v1/machines/dm-test', { body: { labels: { test: 'closed' } } });
  id = (await deployment.machine.run({ command: ['echo', 'printed'] })).execution_id;
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

/** Runs a shell line in which `X` is the launcher and `$ID` an execution that has printed. */
async function run(line: string) {
  const env = baseEnv({
    EXECPLANE_URL: deployment.server.url,
    EXECPLANE_API_KEY: deployment.server.key,
    PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:${process.env['PATH']}`,
    ID: id,
  });
  const started = new Started('sh', ['-c', `X() { "${join(MAIN, '../execplane')}" "$@"; }; ${line}`], env);
  const { code } = await started.end('SIGCONT', 60_000);
  return { code, stdout: started.stdout, stderr: started.stderr };
}

async function untilNothingRuns(): Promise<void> {
  const path = '/v1/machines/dm-test/executions?status=running';
  await until(
    'nothing runs',
    async () => (await deployment.client.ask<{ items: unknown[] }>('GET', path)).items.length === 0,
  );
}

describe('a closed stdout', () => {
  test.each([
    'exec dm-test -- sh -c "echo x; exec sleep 300"',
    'exec dm-test --json -- true',
    'exec dm-test -d -- true',
    'exec --label test=closed -- echo x',
    'machines ls',
    'machines ls --json',
    'machines show dm-test',
    'executions ls dm-test --json',
    'executions show dm-test "$ID"',
    'executions logs dm-test "$ID"',
    'executions output dm-test "$ID"',
    'cp dm-test:/etc/passwd -',
    'keys ls --json',
    'tokens ls --json',
    'batches ls --json',
    'schedules ls --json',
    'artifacts ls dm-test --json',
    'audit',
    'status',
    'mcp',
    '--help',
    '--version',
    'completion bash',
  ])('a closed stdout ends %s with one sentence and 125, and nothing keeps running', async (command) => {
    const { code, stderr } = await run(`X ${command} >&-`);
    expect(stderr).toBe('execplane: stdout cannot be written: it is closed.\n');
    expect(code).toBe(125);
    await untilNothingRuns();
  });

  test('prevents the creation of a secret that nobody would see', async () => {
    for (const command of ['keys create unseen', 'tokens create --reusable']) {
      expect((await run(`X ${command} >&-`)).code).toBe(125);
    }
    const { items } = await deployment.client.ask<{ items: { name?: string }[] }>('GET', '/v1/api-keys');
    expect(items.filter(({ name }) => name === 'unseen')).toEqual([]);
    const tokens = await deployment.client.ask<{ items: { reusable: boolean }[] }>('GET', '/v1/join-tokens');
    expect(tokens.items.filter(({ reusable }) => reusable)).toEqual([]);
  });

  test('is not an error if nothing is written to it', async () => {
    expect(await run('X exec dm-test -- true >&-')).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('a closed stderr', () => {
  test('a closed stderr cancels a command that writes to it: 125', async () => {
    expect((await run('X exec dm-test -- sh -c "echo x >&2; exec sleep 300" 2>&-')).code).toBe(125);
    await untilNothingRuns();
  });

  test('is not an error if nothing is written to it, and no other file gets its number', async () => {
    expect(await run('X exec dm-test -- echo printed 2>&-')).toMatchObject({ code: 0, stdout: 'printed\n' });
    expect(await run('X exec dm-test -- echo printed <&- 2>&-')).toMatchObject({ code: 0, stdout: 'printed\n' });
  });
});

describe('a closed stdin', () => {
  test('is empty for exec', async () => {
    expect(await run('X exec dm-test -- wc -c <&-')).toEqual({ code: 0, stdout: '0\n', stderr: '' });
  });

  test.each([
    ['exec -i dm-test -- sleep 300', 125],
    ['cp - dm-test:/tmp/execplane-never-written', 1],
  ])('is an error for %s', async (command, code) => {
    expect(await run(`X ${command} <&-`)).toEqual({
      code,
      stdout: '',
      stderr: 'execplane: stdin cannot be read: it is closed.\n',
    });
    expect(existsSync('/tmp/execplane-never-written')).toBe(false);
    await untilNothingRuns();
  });
});
