/** Node.js raises its soft limit of open files to the hard limit. Commands get the limit with which the agent was started. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Started, until } from '../../helpers/processes.ts';
import { agentDirectory, attach, listens, MAIN } from '../../helpers/runner-process.ts';

const CLI = new URL('../../../src/cli/', import.meta.url).pathname;
const LIMITS = ['/bin/sh', '-c', 'ulimit -Sn; ulimit -Hn'];
const LOWERED = 'ulimit -Sn 1024; ulimit -Hn 20000';
const PATH = `${dirname(process.execPath)}:${process.env['PATH']}`;

/** The limits of a command if a shell with `script` has started the agent: "soft\nhard\n". */
async function limitsFrom(script: string, program: readonly string[]): Promise<string> {
  const directory = agentDirectory();
  const settings = ['--agent-dir', directory, '--url', 'http://127.0.0.1:1', '--log-level', 'silent'];
  const shell = spawn('/bin/sh', ['-c', script, ...program, 'agent', ...settings, '--join-token', 'xpj_none'], {
    env: { PATH },
    stdio: 'ignore',
    detached: true,
  });
  const gone = once(shell, 'exit');
  onTestFinished(() => signalGroup(shell.pid, 'SIGKILL'));
  await until('its runner listens', () => listens(directory));
  // The link exits; there is no server to notify.
  signalGroup(shell.pid, 'SIGTERM');
  await gone;
  const link = await attach(directory);
  const { stdout } = await link.run('limits', LIMITS);
  link.send({ type: 'stop', grace_ms: 0 });
  await link.until('the runner leaves', () => link.closed);
  return stdout.toString();
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // Every process has ended.
  }
}

/** The installed launcher, in front of the program from the sources. */
function installedLauncher(): string {
  const folder = join(agentDirectory(), 'dist', 'cli');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(CLI, 'launcher.sh'), join(folder, 'execplane'));
  writeFileSync(join(folder, 'main.js'), `import ${JSON.stringify(join(CLI, 'main.ts'))};\n`);
  return join(folder, 'execplane');
}

test.runIf(process.platform === 'linux')(
  'the launcher passes the limit on, whichever program started the launcher',
  async () => {
    expect(await limitsFrom(`${LOWERED}; exec /bin/sh "$0" "$@"`, [installedLauncher()])).toBe('1024\n20000\n');
  },
);

test.runIf(process.platform === 'linux')(
  'without the launcher, the limit is that of the shell that started Node',
  async () => {
    const program = [process.execPath, join(CLI, 'main.ts')];
    expect(await limitsFrom(`${LOWERED}; "$0" "$@"; exit $?`, program)).toBe('1024\n20000\n');
  },
);

test.runIf(process.platform === 'linux')('a limit that was set for the agent alone stays', async () => {
  const program = [process.execPath, join(CLI, 'main.ts')];
  // The hard limit of the shell differs, so its soft limit does not tell the soft limit of the agent.
  const script = 'ulimit -Sn 1024; ulimit -Hn 20000; prlimit --nofile=3000:3000 -- "$0" "$@"; exit $?';
  expect(await limitsFrom(script, program)).toBe('3000\n3000\n');
});

test.runIf(process.platform === 'linux')(
  'with 128 files, some of 64 commands fail and name the limit; the agent is not affected',
  async () => {
    const directory = agentDirectory();
    const runner = new Started(
      '/bin/sh',
      ['-c', 'ulimit -n 128; exec "$0" "$@"', process.execPath, MAIN, '--dir', directory],
      {
        PATH,
      },
    );
    onTestFinished(async () => void (await runner.end('SIGKILL')));
    await until('its runner listens', () => listens(directory));
    const link = await attach(directory, {}, 64);
    const ids = Array.from({ length: 64 }, (_, index) => `many-${index}`);
    for (const id of ids) link.start(id, ['/bin/cat'], { stdin: 'open' });
    const failed = await Promise.race(ids.map((id) => link.ended(id)));
    expect(failed.ended).toMatchObject({ status: 'failed', error_code: 'spawn_failed' });
    expect(failed.ended.error_message).toContain('nofile');
    for (const id of ids) link.send({ type: 'cancel', execution_id: id, grace_ms: 5000 });
    for (const id of ids) await link.ended(id);
    expect((await link.run('after', ['/bin/echo', 'hello'])).stdout.toString()).toBe('hello\n');
    expect(runner.running).toBe(true);
  },
);
