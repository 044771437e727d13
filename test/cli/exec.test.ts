/** `execplane exec` with a real server, a real agent and real pipes. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Deployment } from '../helpers/harness.ts';
import { isAlive, until } from '../helpers/processes.ts';
import { type Exec, startExec } from './exec-process.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await Deployment.start();
}, 60_000);
afterAll(() => deployment.dispose(), 60_000);

function exec(...args: string[]): Exec {
  return startExec(deployment.server, ['dm-test', ...args]);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Runs `execplane exec` with an empty stdin. */
function run(...args: string[]) {
  const started = exec(...args);
  started.stdin.end();
  return started.exited;
}

describe('streams', () => {
  test('stdout and stderr are copied to the same streams, byte for byte', async () => {
    const { code, stdout, stderr } = await run('--', 'printf', '\\000\\377a\\303');
    expect(stdout).toEqual(Buffer.from([0, 255, 97, 0xc3]));
    expect(stderr.toString()).toBe('');
    expect(code).toBe(0);
    expect((await run('--', 'sh', '-c', 'echo err >&2')).stderr.toString()).toBe('err\n');
  });

  test('output and stdin are passed on while the command runs', async () => {
    const cat = exec('--', 'cat');
    cat.stdin.write('first\n');
    await cat.printed('first\n');
    cat.stdin.write('second\n');
    await cat.printed('first\nsecond\n');
    cat.stdin.end();
    expect((await cat.exited).code).toBe(0);
  });

  test('a megabyte through stdin is returned unchanged', async () => {
    const bytes = randomBytes(1_000_000);
    const cat = exec('--', 'cat');
    cat.stdin.end(bytes);
    const { code, stdout } = await cat.exited;
    expect(code).toBe(0);
    expect(stdout.equals(bytes)).toBe(true);
  });

  test('exec ends with the command although its own stdin stays open', async () => {
    const { code } = await exec('--', 'sh', '-c', 'exit 3').exited;
    expect(code).toBe(3);
  });

  test('a reader that exits ends the command', async () => {
    const yes = exec('--', 'sh', '-c', 'echo $$; exec yes');
    await yes.printed(/^\d+\n/);
    const pid = Number(/^\d+/.exec(yes.stdout)?.[0]);
    yes.closeStdout();
    expect((await yes.exited).code).toBe(141);
    await until('yes is gone', () => !isAlive(pid));
  });

  test('environment and directory are set by the flags', async () => {
    const { stdout } = await run(
      '--env',
      'A=1',
      '--env',
      'B=x=y',
      '--cwd',
      '/usr',
      '--',
      'sh',
      '-c',
      'echo $A $B $PWD',
    );
    expect(stdout.toString()).toBe('1 x=y /usr\n');
  });
});

describe('exit codes', () => {
  test.each([
    [7, ['--', 'sh', '-c', 'exit 7']],
    [127, ['--', 'no-such-command']],
    [126, ['--', '/etc/passwd']],
    [137, ['--', 'sh', '-c', 'kill -9 $$']],
    [124, ['--timeout', '200ms', '--', 'sleep', '100']],
    [125, ['--cwd', '/nowhere', '--', 'true']],
    // A killed tree leaves nothing that would end the next command.
    [0, ['--', 'true']],
  ])('exec exits with %d for %j', async (code, args) => {
    expect((await run(...args)).code).toBe(code);
  });

  test('--json prints only the final Execution', async () => {
    const { code, stdout } = await run('--json', '--', 'sh', '-c', 'echo hidden; exit 4');
    expect(JSON.parse(stdout.toString())).toMatchObject({ status: 'failed', exit_code: 4, stdout_bytes: 7 });
    expect(code).toBe(4);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s cancels the command and exits with %d', async (signal, code) => {
    const sleeper = exec('--', 'sh', '-c', 'echo $$; exec sleep 300');
    await sleeper.printed(/^\d+\n/);
    const pid = Number(sleeper.stdout);
    sleeper.child.kill(signal);
    expect((await sleeper.exited).code).toBe(code);
    expect(isAlive(pid)).toBe(false);
  });

  test('a second Ctrl-C exits at once, and the command is still cancelled', async () => {
    const stubborn = exec('--', 'sh', '-c', 'trap "" TERM; echo $$; while :; do sleep 0.1; done');
    await stubborn.printed(/^\d+\n/);
    const pid = Number(stubborn.stdout);
    // Signals in quick succession count as one.
    const again = setInterval(() => stubborn.child.kill('SIGINT'), 100);
    const { code } = await stubborn.exited;
    clearInterval(again);
    expect(code).toBe(130);
    expect(isAlive(pid)).toBe(true);
    await until('the command is gone', () => !isAlive(pid));
  });
});

describe('a server that goes away and comes back', () => {
  test('resumes the stream where it was: no byte is lost or repeated', async () => {
    const counting = exec('--', 'sh', '-c', 'echo before; read line; echo "after $line"');
    await counting.printed('before\n');
    await deployment.server.kill();
    await deployment.server.restart();
    await deployment.connected();
    counting.stdin.end('the restart\n');
    const { code, stdout } = await counting.exited;
    expect(stdout.toString()).toBe('before\nafter the restart\n');
    expect(code).toBe(0);
  }, 60_000);

  test('gets a large stdin once and in order, although server, link, and both are killed meanwhile', async () => {
    const part = 4_000_000;
    const bytes = randomBytes(4 * part);
    const sums = [0, 1, 2, 3].map((at) => sha256(bytes.subarray(at * part, (at + 1) * part)));
    const parts = `for part in 1 2 3; do head -c ${part} | sha256sum; done; sha256sum`;
    const summing = exec('--', 'sh', '-c', parts);
    summing.stdin.end(bytes);
    const lines = (count: number) =>
      sums
        .slice(0, count)
        .map((sum) => `${sum}  -\n`)
        .join('');
    const killServer = () => deployment.server.kill().then(() => deployment.server.restart());
    const killLink = () => deployment.agent.killLink().then(() => deployment.agent.restart());
    const kills = [killServer, killLink, () => Promise.all([killServer(), killLink()])];
    for (const [at, kill] of kills.entries()) {
      await summing.printed(new RegExp(`^${lines(at + 1)}`));
      await kill();
    }
    const { code, stdout } = await summing.exited;
    expect([code, stdout.toString()]).toEqual([0, lines(4)]);
  }, 120_000);
});
