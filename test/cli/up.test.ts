/** `execplane up`, which `npm start` runs: starts in an empty directory, executes a command, and leaves no process. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { baseEnv, cli, MAIN, type Settings } from '../helpers/harness.ts';
import { commandLine, killAll, processesWith, until } from '../helpers/processes.ts';

const READY = /exec (dm-\S+) .*-- uname -a\n/;

let dir: string;

beforeEach(() => {
  dir = makeDirectory('up');
});

afterEach(async () => {
  const left = processesWith(dir);
  const lines = left.map(commandLine);
  killAll(left);
  await removeDirectory(dir);
  expect(lines).toEqual([]);
});

/** Starts it in its own process group, like a terminal; `dir` is in its environment, so that all its processes can be found. */
async function up(settings: Settings = {}, [program, ...args]: readonly [string, ...string[]] = [process.execPath]) {
  const child = spawn(program, [...args, MAIN, 'up'], {
    cwd: dir,
    env: baseEnv({ EXECPLANE_PORT: '0', PWD: dir, EXECPLANE_AGENT_DIR: join(dir, 'agent'), ...settings }),
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = once(child, 'close').then(([code]) => code as number | null);
  const early = closed.then((code) => Promise.reject(new Error(`up ended with ${code}: ${stderr}`)));
  early.catch(() => {});
  while (!READY.test(stdout)) await Promise.race([once(child.stdout, 'data'), early]);
  const machineId = READY.exec(stdout)?.[1] ?? '';
  const url = /URL\s+(\S+)/.exec(stdout)?.[1] ?? '';
  const lineWith = (word: string) => stdout.split('\n').find((line) => line.includes(word)) ?? '';
  return { child, closed, machineId, url, curl: lineWith('curl '), exec: lineWith(' exec '), stderr: () => stderr };
}

test('up prints warnings for people beside the banner, and JSON if a log was requested', async () => {
  const quiet = await up();
  expect(quiet.stderr()).toBe('');
  killAll(processesWith(join(dir, 'agent')).filter((pid) => commandLine(pid).includes('runner/main.js')));
  await until('the death of the runner is told', () => quiet.stderr().includes('\n'));
  expect(quiet.stderr()).toMatch(/^\d\d:\d\d:\d\d warning: the runner is gone[^{}\n]*\n/);
  quiet.child.kill('SIGINT');
  await quiet.closed;
  const asked = await up({ EXECPLANE_LOG_LEVEL: 'info' });
  asked.child.kill('SIGINT');
  await asked.closed;
  const lines = asked
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'));
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toContain('listening');
}, 120_000);

test('the printed lines work when pasted into a shell, and Ctrl-C leaves no process behind', async () => {
  const started = await up();
  const curl = spawnSync('sh', ['-c', started.curl], { encoding: 'utf8', env: baseEnv() });
  expect(JSON.parse(curl.stdout)).toMatchObject({ status: 'succeeded', command: ['uname', '-a'], exit_code: 0 });
  expect(statSync(join(dir, 'data/admin.key')).mode & 0o777).toBe(0o600);
  const path = `${dirname(process.execPath)}:${process.env['PATH']}`;
  const exec = spawnSync('sh', ['-c', started.exec], { cwd: dir, encoding: 'utf8', env: { PATH: path, HOME: dir } });
  expect(exec.stdout).toBe(spawnSync('uname', ['-a'], { encoding: 'utf8' }).stdout);

  // The CLI on the same host finds the key by itself.
  const env = { EXECPLANE_URL: started.url, EXECPLANE_DATA_DIR: join(dir, 'data'), HOME: dir };
  const sleeper = cli(['exec', started.machineId, '--', 'sleep', '300'], env);
  await until('it runs', async () =>
    (await cli(['executions', 'ls', started.machineId, '--status', 'running', '--json'], env)).stdout.includes('sleep'),
  );

  // Like Ctrl+C in a terminal: the signal goes to the whole process group, and npm sends it a second time.
  process.kill(-(started.child.pid ?? 0), 'SIGINT');
  started.child.kill('SIGINT');
  expect(await started.closed).toBe(0);
  expect(await sleeper).toMatchObject({ code: 125, stderr: expect.stringContaining('stopped on the machine') });
  expect(processesWith(dir).map(commandLine)).toEqual([]);
}, 120_000);

test('SIGTERM ends up too, and a second start uses the same machine', async () => {
  const first = await up();
  first.child.kill('SIGTERM');
  expect(await first.closed).toBe(0);
  expect(processesWith(dir).map(commandLine)).toEqual([]);
  const second = await up();
  expect(second.machineId).toBe(first.machineId);
  second.child.kill('SIGTERM');
  expect(await second.closed).toBe(0);
}, 120_000);

test.runIf(process.platform === 'linux')('commands get the limit of open files with which up was started', async () => {
  const script = 'trap "" INT; ulimit -Sn 1024; ulimit -Hn 20000; "$0" "$@"; exit $?';
  const started = await up({}, ['/bin/sh', '-c', script, process.execPath]);
  const env = { EXECPLANE_URL: started.url, EXECPLANE_DATA_DIR: join(dir, 'data'), HOME: dir };
  const { stdout } = await cli(['exec', started.machineId, '--', 'sh', '-c', 'ulimit -Sn; ulimit -Hn'], env);
  expect(stdout).toBe('1024\n20000\n');
  process.kill(-(started.child.pid ?? 0), 'SIGINT');
  expect(await started.closed).toBe(0);
});

test('an agent whose server lost its data directory joins the new server as a new machine', async () => {
  const first = await up();
  first.child.kill('SIGINT');
  await first.closed;
  rmSync(join(dir, 'data'), { recursive: true });
  const second = await up();
  expect(second.machineId).not.toBe(first.machineId);
  second.child.kill('SIGINT');
  await second.closed;
}, 120_000);

test('the key of EXECPLANE_API_KEY is in no file, no line and no environment', async () => {
  const key = 'xpk_of-the-operator';
  const started = await up({ EXECPLANE_API_KEY: key, OTEL_EXPORTER_OTLP_HEADERS: `authorization=${key}` });
  expect(started.curl).toContain('$EXECPLANE_API_KEY');
  expect(existsSync(join(dir, 'data/admin.key'))).toBe(false);
  const curl = spawnSync('sh', ['-c', started.curl], { encoding: 'utf8', env: baseEnv({ EXECPLANE_API_KEY: key }) });
  expect(JSON.parse(curl.stdout)).toMatchObject({ status: 'succeeded' });
  const knowing = processesWith(key).filter((pid) => readFileSync(`/proc/${pid}/environ`, 'latin1').includes(dir));
  expect(knowing).toEqual([]);
  started.child.kill('SIGINT');
  await started.closed;
}, 120_000);

test('after kill -9 of up the agent detaches, and the next start finds the command still running', async () => {
  const first = await up();
  const env = { EXECPLANE_URL: first.url, EXECPLANE_DATA_DIR: join(dir, 'data'), HOME: dir };
  const created = await fetch(`${first.url}/v1/machines/${first.machineId}/executions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(join(dir, 'data/admin.key'), 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ command: ['sh', '-c', 'while [ ! -e go ]; do sleep 0.1; done; echo went on'], cwd: dir }),
  });
  const { execution_id: id } = (await created.json()) as { execution_id: string };
  await until('it runs', async () =>
    (await cli(['executions', 'show', first.machineId, id], env)).stdout.includes('running'),
  );
  first.child.kill('SIGKILL');
  await first.closed;
  await until('the link has let go', () => processesWith(dir).every((pid) => !commandLine(pid).includes(' agent')));

  const second = await up();
  const again = { ...env, EXECPLANE_URL: second.url };
  spawnSync('touch', [join(dir, 'go')]);
  const logs = await cli(['executions', 'logs', '-f', second.machineId, id], again);
  expect(logs).toMatchObject({ code: 0, stdout: 'went on\n' });
  second.child.kill('SIGINT');
  await second.closed;
}, 120_000);
