/** A working directory, a PATH or a program on a file system that never answers delays only its own command. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { REPORT_KIND } from '../../../src/core/report.ts';
import { Started, until } from '../../helpers/processes.ts';
import { agentDirectory, attach, listens, MAIN, sharedRunner } from '../../helpers/runner-process.ts';

const SOURCE = new URL('../../fixtures/spawner/hanging-fs.c', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'execplane-hanging-'));
const mountPoint = join(directory, 'mount');
const NO_USER = 42_422;

function compile(): boolean {
  try {
    execFileSync('cc', ['-O1', '-o', join(directory, 'hanging-fs'), SOURCE], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Needs root, /dev/fuse and a C compiler. */
const possible = process.getuid?.() === 0 && existsSync('/dev/fuse') && compile();

describe.runIf(possible)('a file system that never answers', () => {
  let server: ChildProcess;
  beforeAll(async () => {
    mkdirSync(mountPoint);
    chmodSync(directory, 0o755);
    server = spawn(join(directory, 'hanging-fs'), [mountPoint], { stdio: ['pipe', 'pipe', 'inherit'] });
    const mounted = Promise.withResolvers<void>();
    server.stdout?.once('data', () => mounted.resolve());
    server.once('exit', (code) => mounted.reject(new Error(`it could not be mounted: ${code}`)));
    await mounted.promise;
  });
  afterAll(async () => {
    const gone = new Promise((resolve) => server.once('exit', resolve));
    server.stdin?.end();
    await gone;
    rmSync(directory, { recursive: true, force: true });
  });
  const linked = sharedRunner();
  const inside = join(mountPoint, 'x');

  test.each<[string, { command: string[]; cwd?: string; env?: Record<string, string> }]>([
    ['the working directory', { command: ['/bin/true'], cwd: inside }],
    ['the program', { command: [inside] }],
    ['a PATH element', { command: ['no-such-program'], env: { PATH: mountPoint } }],
  ])('%s: the command can be cancelled, times out, and delays no other', async (name, more) => {
    const { link } = await linked();
    const { command, ...rest } = more;
    const id = name.replaceAll(' ', '-');
    link.start(`open-${id}`, ['/bin/cat'], { stdin: 'open' });
    await link.started(`open-${id}`);
    link.start(`cancelled-${id}`, command, rest);
    link.start(`late-${id}`, command, { ...rest, timeout_ms: 200 });
    // The hanging child has no copy of the other command's stdin, so that its end is seen.
    link.send({ type: 'stdin', execution_id: `open-${id}`, offset: 0, close: true });
    expect((await link.ended(`open-${id}`)).ended).toMatchObject({ status: 'succeeded' });
    expect((await link.run(`other-${id}`, ['/bin/echo', 'hello'])).stdout.toString()).toBe('hello\n');
    const late = await link.ended(`late-${id}`);
    expect([late.started, late.ended.error_code]).toEqual([false, 'timeout']);
    link.send({ type: 'cancel', execution_id: `cancelled-${id}`, grace_ms: 5000 });
    const cancelled = await link.ended(`cancelled-${id}`);
    expect([cancelled.started, cancelled.ended.status]).toEqual([false, 'cancelled']);
  });

  test('the home: the collection of artifacts times out, and delays no other command', async () => {
    const runnerDirectory = agentDirectory();
    chownSync(runnerDirectory, NO_USER, NO_USER);
    // The home of a user without an entry comes from the environment.
    const as = [`--reuid=${NO_USER}`, `--regid=${NO_USER}`, '--clear-groups'];
    const env = { PATH: process.env['PATH'] ?? '', HOME: inside };
    const runner = new Started('/usr/bin/setpriv', [...as, process.execPath, MAIN, '--dir', runnerDirectory], env);
    onTestFinished(async () => void (await runner.end('SIGKILL')));
    await until('it listens', () => listens(runnerDirectory));
    const link = await attach(runnerDirectory);
    const artifacts = { declared: [{ path: 'report.xml' }], max_bytes: 1000, timeout_ms: 2000 };
    link.start('collected', ['/bin/sh', '-c', 'echo "$HOME"'], { cwd: '/', artifacts });
    await link.printed('collected', `${inside}\n`);
    expect((await link.run('other', ['/bin/echo', 'hello'], { cwd: '/' })).stdout.toString()).toBe('hello\n');
    const { ended, records } = await link.ended('collected');
    expect(ended).toMatchObject({ status: 'succeeded', exit_code: 0 });
    const told = records.filter(({ kind }) => kind === REPORT_KIND.artifact_end);
    expect(told.map(({ payload }) => JSON.parse(payload.toString()) as unknown)).toEqual([
      { name: '', reason: 'collecting took longer than 2000 ms' },
    ]);
  });
});
