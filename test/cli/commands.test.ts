/** Commands of the CLI besides `exec`: tables, and JSON with `--json`. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { baseEnv, cli, Deployment, MAIN, type Settings } from '../helpers/harness.ts';
import { Started } from '../helpers/processes.ts';

let deployment: Deployment;
let env: Settings;

beforeAll(async () => {
  deployment = await Deployment.start();
  env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key, HOME: deployment.dir };
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

/** Runs the CLI and expects success. */
async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(args, env);
  expect(stderr).not.toContain('execplane:');
  expect(code, stderr).toBe(0);
  return stdout;
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await ok(...args, '--json')) as T;
}

test('machines create, ls, show, rotate and rm work', async () => {
  const made = await json<{ machine_id: string; token: string; join_command: string }>('machines', 'create', 'dm-new');
  expect(made).toMatchObject({ machine_id: 'dm-new', token: expect.stringMatching(/^xpj_/) });
  expect(made.join_command).toBe(`echo ${made.token} | sh install-agent.sh --url ${deployment.server.url}`);
  const said = await cli(['machines', 'create', 'dm-other'], env);
  expect(said.stdout).toMatch(
    /^dm-other can join until .*\n\n {2}echo xpj_[\w-]{43} \| sh install-agent.sh --url \S+\n$/,
  );
  expect(said.stderr).toContain('replace it by the address of the server');
  expect(await ok('machines', 'ls')).toMatch(/^dm-test +- +online +now +/m);
  const list = await json<{ items: { machine_id: string }[] }>('machines', 'ls');
  expect(list.items.map((machine) => machine.machine_id)).toContain('dm-new');
  expect(await ok('machines', 'show', 'dm-test')).toMatch(/^status +online$/m);
  expect(await ok('machines', 'rotate', 'dm-new')).toMatch(/^ {2}echo xpj_[\w-]+ \| sh install-agent.sh/m);
  expect(await ok('machines', 'rotate', 'dm-test')).toContain('gets a new credential');
  expect(await ok('machines', 'rm', 'dm-new')).toBe('dm-new is removed.\n');
});

test('machines create with a size or labels creates the machine itself', async () => {
  const size = [
    '--vcpu',
    '0.5',
    '--memory-mib',
    '512',
    '--storage-gib',
    '3',
    '--autosleep',
    '30m',
    '--label',
    'role=db',
  ];
  const made = await json<{ machine_id: string }>('machines', 'create', ...size);
  expect(made).toMatchObject({ vcpu: 0.5, memory_mib: 512, storage_gib: 3, autosleep_seconds: 1800 });
  const { items } = await json<{ items: object[] }>('machines', 'ls', '--label', 'role=db');
  expect(items).toMatchObject([{ machine_id: made.machine_id, labels: { role: 'db' } }]);
  const said = await cli(['machines', 'create', '--label', 'role=db'], env);
  expect(said.stdout).toMatch(/^dm-\w+ is created: never joined\.\n$/);
  expect(said.stderr).toMatch(/^It has no provider: "execplane tokens create --machine dm-\w+"/);
});

test.each([
  [1, ['--provider', 'nobody'], 'is not a provider of this server'],
  [2, ['--vcpu', '0.3'], 'in steps of 0.25'],
  [2, ['web-1', '--vcpu', '1'], '"web-1" cannot be the id of a machine.'],
])('machines create exits with %d for %j', async (code, args, message) => {
  expect(await cli(['machines', 'create', ...args], env)).toMatchObject({
    code,
    stderr: expect.stringContaining(message),
  });
});

test('a name is accepted wherever an id is', async () => {
  expect(await ok('machines', 'rename', 'dm-test', 'tester')).toBe('dm-test is called tester.\n');
  expect(await ok('machines', 'ls')).toMatch(/^dm-test +tester +online/m);
  expect(await ok('machines', 'show', 'tester')).toMatch(/^name +tester$/m);
  expect(await ok('exec', 'tester', '--', 'echo', 'by name')).toBe('by name\n');
  const { items } = await json<{ items: object[] }>('executions', 'ls', 'tester');
  expect(items[0]).toMatchObject({ machine_id: 'dm-test', command: ['echo', 'by name'] });
  const file = join(deployment.dir, 'copied');
  await ok('cp', 'tester:/etc/hostname', file);
  expect(readFileSync(file)).toEqual(readFileSync('/etc/hostname'));
  expect(await json('tokens', 'create', '--machine', 'tester')).toMatchObject({ machine_id: 'dm-test' });
  expect(await json('keys', 'create', 'k', '--machine', 'tester')).toMatchObject({ machine_ids: ['dm-test'] });
  const made = await json<{ machine_id: string }>('machines', 'create', 'dm-named', '--name', 'second');
  expect(made).toMatchObject({ machine_id: 'dm-named' });
  expect(await ok('machines', 'rm', 'second')).toBe('dm-named is removed.\n');
  const unknown = await cli(['exec', 'second', '--', 'true'], env);
  expect(unknown).toMatchObject({ code: 125, stderr: expect.stringContaining('no machine with the name "second"') });
});

test('executions ls, show, logs, output and cancel work', async () => {
  const argv = ['sh', '-c', 'echo out; echo err >&2; exit 3'];
  const { json: done } = await deployment.client.request<{ execution_id: string }>(
    'POST',
    '/v1/machines/dm-test/executions',
    { body: { command: argv }, query: { wait_ms: 20_000 } },
  );
  const id = done.execution_id;
  expect(await ok('executions', 'ls', 'dm-test', '--status', 'failed')).toContain('exit 3');
  expect(await json('executions', 'show', 'dm-test', id)).toMatchObject({ command: argv, exit_code: 3 });
  expect(await cli(['executions', 'logs', 'dm-test', id], env)).toMatchObject({
    code: 0,
    stdout: 'out\n',
    stderr: expect.stringMatching(/^err\n/),
  });
  expect(await cli(['executions', 'output', '--tail', '3', 'dm-test', id], env)).toMatchObject({
    stdout: 'ut\n',
    stderr: 'rr\n',
  });
  expect(await json('executions', 'output', 'dm-test', id)).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
  expect(await ok('executions', 'cancel', 'dm-test', id)).toBe(`${id}: failed, exit 3\n`);
  const events = (await ok('executions', 'logs', '-f', '--json', 'dm-test', id)).trim().split('\n');
  expect(events.map((line) => JSON.parse(line).sequence)).toEqual(events.map((_, at) => at + 1));
});

test('a key has its scopes until it is revoked', async () => {
  const made = await json<{ api_key_id: string; key: string }>('keys', 'create', 'ci', '--scope', 'machines:read');
  const asKey = { ...env, EXECPLANE_API_KEY: made.key };
  expect((await cli(['machines', 'ls'], asKey)).code).toBe(0);
  expect((await cli(['keys', 'ls'], asKey)).code).toBe(1);
  expect(await ok('keys', 'ls')).toContain(made.api_key_id);
  await ok('keys', 'revoke', made.api_key_id);
  const refused = await cli(['machines', 'ls'], asKey);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('execplane login') });
  expect(refused.stderr).not.toContain(made.key);
});

test('tokens create prints only the token, ls does not show it, and revoke invalidates it', async () => {
  const token = (await ok('tokens', 'create', '--reusable', '--expires-in', '1h')).trim();
  expect(token).toMatch(/^xpj_[\w-]{43}$/);
  const list = await json<{ items: { join_token_id: string; reusable: boolean }[] }>('tokens', 'ls');
  const [newest] = list.items;
  expect(newest).toMatchObject({ reusable: true });
  expect(JSON.stringify(list)).not.toContain(token);
  await ok('tokens', 'revoke', newest?.join_token_id ?? '');
});

test('audit lists the actions, and status the state of the server', async () => {
  expect(await ok('audit', '--all')).toContain('join_token.create');
  expect(await json('status')).toMatchObject({ ready: true, connected: 1 });
});

describe('login', () => {
  test('the key is read from stdin, tried, and stored for this server only', async () => {
    const login = new Started('sh', ['-c', 'echo "$KEY" | "$NODE" "$MAIN" login'], {
      ...baseEnv({ HOME: deployment.dir, EXECPLANE_URL: deployment.server.url }),
      KEY: deployment.server.key,
      NODE: process.execPath,
      MAIN,
    });
    expect((await login.exited).code).toBe(0);
    const file = join(deployment.dir, '.config/execplane/login.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ api_key: deployment.server.key });
    expect((await cli(['machines', 'ls'], { HOME: deployment.dir })).code).toBe(0);
    const elsewhere = {
      HOME: deployment.dir,
      EXECPLANE_URL: 'https://example.com',
      EXECPLANE_DATA_DIR: deployment.dir,
    };
    expect(await cli(['machines', 'ls'], elsewhere)).toMatchObject({ code: 2 });
  });

  test('a key that does not work is not stored', async () => {
    const login = new Started('sh', ['-c', 'echo xpk_wrong | "$NODE" "$MAIN" login'], {
      ...baseEnv({ HOME: join(deployment.dir, 'nobody'), EXECPLANE_URL: deployment.server.url }),
      NODE: process.execPath,
      MAIN,
    });
    expect((await login.exited).code).toBe(1);
    expect(() => statSync(join(deployment.dir, 'nobody'))).toThrow('ENOENT');
  });
});

describe('agent stop', () => {
  test('ends link, runner and commands; a second one finds nothing', async () => {
    const agent = await deployment.join('dm-stopped');
    const created = await deployment.client.ask<{ execution_id: string }>(
      'POST',
      '/v1/machines/dm-stopped/executions',
      {
        body: { command: ['sleep', '300'] },
      },
    );
    const stop = ['agent', 'stop', '--agent-dir', agent.dir];
    expect(await cli(stop)).toMatchObject({ code: 0, stdout: expect.stringContaining('has stopped') });
    expect(agent.ownedPids()).toEqual([]);
    expect((await agent.link.exited).code).toBe(0);
    const path = `/v1/machines/dm-stopped/executions/${created.execution_id}`;
    expect((await deployment.client.get(path)).json).toMatchObject({ status: 'failed', error_code: 'agent_stopped' });
    expect(await cli(stop)).toMatchObject({ code: 1, stderr: expect.stringContaining('no agent runs') });
  }, 60_000);

  test('ends the runner if there is no link', async () => {
    const agent = await deployment.join('dm-unlinked');
    await agent.killLink();
    expect(agent.ownedPids()).not.toEqual([]);
    const { code } = await cli(['agent', 'stop', '--agent-dir', agent.dir]);
    expect(code).toBe(0);
    expect(agent.ownedPids()).toEqual([]);
  }, 60_000);
});

test('audit --export prints one entry per line, and --release allows their deletion', async () => {
  const exported = await cli(['audit', '--export'], env);
  expect(exported.code).toBe(0);
  const entries = exported.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { audit_id: string });
  const last = entries.at(-1)?.audit_id ?? '';
  expect(exported.stderr).toBe(`Exported up to ${last}. Once they are stored: execplane audit --release ${last}\n`);
  expect(await cli(['audit', '--release', last], env)).toMatchObject({
    code: 0,
    stdout: `Entries up to ${last} will be deleted.\n`,
  });
  const next = await cli(['audit', '--export', '--after', last], env);
  expect(
    next.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { action: string }).action),
  ).toEqual(['audit.release']);
  expect(await cli(['audit', '--release', '999999'], env)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('No export has sent the entries up to this one'),
  });
  expect((await cli(['audit', '--after', '1'], env)).code).toBe(2);
});
