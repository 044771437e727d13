/** Contract §6: the commands, their settings, and their behaviour for an operator. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client } from '../helpers/client.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { freePort } from '../helpers/free-port.ts';
import { baseEnv, cli, Deployment, MAIN } from '../helpers/harness.ts';
import { killAll, processesWith, Started, until } from '../helpers/processes.ts';

describe('settings', () => {
  test.each([
    ['server', 'EXECPLANE_PORT', 'eleven'],
    ['server', 'EXECPLANE_PORT', '70000'],
    ['server', 'EXECPLANE_MAX_OUTPUT_BYTES', '-1'],
    ['server', 'EXECPLANE_QUEUE_TTL_MS', '1.5'],
    ['server', 'EXECPLANE_LOG_LEVEL', 'loud'],
    ['agent', 'EXECPLANE_MAX_CONCURRENCY', '0'],
    ['agent', 'EXECPLANE_URL', 'not a url'],
    ['agent', 'EXECPLANE_MACHINE_ID', 'No Good'],
  ])('%s: a wrong %s stops the start with a message that names it and exit code 2', async (command, name, value) => {
    const { code, stdout, stderr } = await cli([command], {
      [name]: value,
      EXECPLANE_DATA_DIR: '/nowhere',
      EXECPLANE_AGENT_DIR: '/nowhere',
    });
    expect(code).toBe(2);
    expect(stdout + stderr).toContain(name);
  });

  test('an unknown flag or command exits with 2 and a usage line, without a stack trace', async () => {
    for (const args of [['server', '--no-such-flag'], ['no-such-command']]) {
      const { code, stderr } = await cli(args);
      expect(code).toBe(2);
      expect(stderr).not.toMatch(/\n\s+at /);
    }
  });
});

describe('execplane server', () => {
  let dir: string;
  beforeEach(() => {
    dir = makeDirectory('server');
  });
  afterEach(() => removeDirectory(dir));

  test('a flag has the name of its variable; the first start writes the admin key with mode 0600; SIGTERM ends the server with exit code 0', async () => {
    const port = await freePort();
    const args = [MAIN, 'server', '--port', String(port), '--data-dir', join(dir, 'data')];
    const server = new Started(process.execPath, args, baseEnv());
    const url = `http://127.0.0.1:${port}`;
    await until('it is ready', async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200);
    const files = readdirSync(join(dir, 'data')).map((name) => join(dir, 'data', name));
    const keys = files.filter((file) => /^[\x21-\x7e]{20,200}\s*$/.test(readFileSync(file, 'latin1')));
    const working = [];
    for (const file of keys) {
      const client = new Client(url, readFileSync(file, 'utf8').trim());
      if ((await client.get('/v1/api-keys')).status === 200) working.push(file);
    }
    expect(working.length).toBe(1);
    expect(statSync(working[0] ?? '').mode & 0o777).toBe(0o600);
    for (const line of server.stderr.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

describe('with a server and an agent', () => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await Deployment.start();
  });
  afterAll(() => deployment.dispose());

  const exec = (args: string[]) =>
    cli(['exec', 'dm-test', ...args], {
      EXECPLANE_URL: deployment.server.url,
      EXECPLANE_API_KEY: deployment.server.key,
    });

  test('exec copies stdout to stdout and stderr to stderr, and exits with the exit code of the command', async () => {
    const { code, stdout, stderr } = await exec(['--', '/bin/sh', '-c', 'printf out; printf err >&2; exit 7']);
    expect([code, stdout]).toEqual([7, 'out']);
    expect(stderr).toContain('err');
  });

  test.each([
    [['--', '/bin/sh', '-c', 'kill -TERM $$'], 143],
    [['--timeout', '300ms', '--', 'sleep', '600'], 124],
    [['--', '/etc/passwd'], 126],
    [['--', 'no-such-command'], 127],
    [['--env', 'A=b c', '--cwd', '/', '--', '/bin/sh', '-c', '[ "$A" = "b c" ] && [ "$PWD" = / ]'], 0],
  ])('exec %j exits with %d', async (args, expected) => {
    expect((await exec(args)).code).toBe(expected);
  });

  test('exec exits with 125 if Execplane fails', async () => {
    const closed = `http://127.0.0.1:${await freePort()}`;
    const unreachable = await cli(['exec', 'dm-test', '--', 'true'], {
      EXECPLANE_URL: closed,
      EXECPLANE_API_KEY: 'xpk_x',
    });
    const refused = await cli(['exec', 'dm-test', '--', 'true'], {
      EXECPLANE_URL: deployment.server.url,
      EXECPLANE_API_KEY: 'xpk_x',
    });
    expect([unreachable.code, refused.code]).toEqual([125, 125]);
  });

  test('machines ls --json and executions ls --json print valid JSON', async () => {
    const env = { EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key };
    const machines = await cli(['machines', 'ls', '--json'], env);
    expect(machines.stdout).toContain('dm-test');
    const executions = await cli(['executions', 'ls', 'dm-test', '--json'], env);
    expect([machines.code, executions.code]).toEqual([0, 0]);
  });

  test('SIGTERM ends the agent, its commands keep running, and the next agent takes them over', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; while [ ! -e "$GO" ]; do sleep 0.02; done; echo went on'],
      env: { GO: join(deployment.dir, 'go') },
    });
    await deployment.machine.printed(execution_id, 'ready');
    const before = deployment.agent.runnerPid();
    await deployment.agent.detach();
    await deployment.away();
    expect(deployment.agent.runnerPid()).toBe(before);
    deployment.agent.restart();
    await deployment.connected();
    await deployment.machine.sh('touch "$GO"', { env: { GO: join(deployment.dir, 'go') } });
    expect(await deployment.machine.ended(execution_id)).toMatchObject({ status: 'succeeded' });
    expect((await deployment.machine.output(execution_id)).stdout).toBe('ready\nwent on\n');
  });

  test('SIGINT to the agent ends all commands with agent_stopped', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    await deployment.agent.stop();
    expect(processesWith(`EXECUTION_ID=${execution_id}`)).toEqual([]);
    expect(await deployment.machine.ended(execution_id)).toMatchObject({
      status: 'failed',
      error_code: 'agent_stopped',
    });
    deployment.agent.restart();
    await deployment.connected();
  });

  test('agent stop, run on the machine, ends all commands too', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    const { code } = await cli(['agent', 'stop'], { EXECPLANE_AGENT_DIR: deployment.agent.dir });
    expect(code).toBe(0);
    await deployment.agent.link.exited;
    expect(await deployment.machine.ended(execution_id)).toMatchObject({ error_code: 'agent_stopped' });
    deployment.agent.restart();
    await deployment.connected();
  });
});

describe('execplane up', () => {
  test('execplane up starts a server and an agent, prints the URL and the path of the key, and a curl line that works', async () => {
    const dir = makeDirectory('up');
    const port = await freePort();
    const env = baseEnv({
      EXECPLANE_PORT: String(port),
      EXECPLANE_DATA_DIR: join(dir, 'data'),
      EXECPLANE_AGENT_DIR: join(dir, 'agent'),
    });
    const up = new Started(process.execPath, [MAIN, 'up'], env, dir);
    try {
      await until(
        () => `it prints a curl line\n${up.stderr}`,
        () => /curl /.test(up.stdout + up.stderr),
      );
      const said = up.stdout + up.stderr;
      expect(said).toContain(`http://127.0.0.1:${port}`);
      const curl = /^\s*(curl [\s\S]*?[^\\])$/m.exec(said)?.[1] ?? '';
      const ran = new Started('/bin/bash', ['-c', curl], baseEnv(), dir);
      expect((await ran.exited).code).toBe(0);
      expect(ran.stdout).toContain('execution_id');
    } finally {
      await up.end('SIGINT');
      await until('nothing is left', () => processesWith(dir).length === 0, 10_000).catch(() => {
        killAll(processesWith(dir));
        throw new Error('up left something running');
      });
      await removeDirectory(dir);
    }
  });
});
