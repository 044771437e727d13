/** The environment of commands, and the parts of the runner that they do not inherit. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { oneTurn } from '../../../helpers/one-turn.ts';
import { until } from '../../../helpers/processes.ts';
import { MAIN, agentDirectory, attach, linkedRunner, listens } from '../../../helpers/runner-process.ts';
import { SpawnerHarness } from '../spawner/spawner-harness.ts';

vi.setConfig({ testTimeout: 60_000 });
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

/** Starts the runner from a shell that has run `script` before, and waits until it listens. */
async function startFrom(directory: string, script: string): Promise<ChildProcess> {
  const runner = spawn('/bin/sh', ['-c', `${script}; exec "$0" "$@"`, process.execPath, MAIN, '--dir', directory], {
    stdio: 'ignore',
  });
  onTestFinished(() => void runner.kill('SIGKILL'));
  await until('it listens', () => listens(directory));
  return runner;
}

test.runIf(process.platform === 'linux')('a descriptor that the agent inherited is closed', async () => {
  const directory = agentDirectory();
  const held = openSync(join(directory, 'held'), 'w');
  const runner = spawn(process.execPath, [MAIN, '--dir', directory], { stdio: ['ignore', 'ignore', 'ignore', held] });
  onTestFinished(() => void runner.kill('SIGKILL'));
  closeSync(held);
  await until('it listens', () => listens(directory));
  const open = readdirSync(`/proc/${runner.pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${runner.pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  expect(open).not.toContain(join(directory, 'held'));
});

test.runIf(process.platform === 'linux')('a lock that the agent inherited is free again', async () => {
  const directory = agentDirectory();
  const lock = join(directory, 'lock');
  await startFrom(directory, `exec 9>"${lock}"; flock 9`);
  expect(spawnSync('/bin/sh', ['-c', 'flock --nonblock "$0" true', lock]).status).toBe(0);
});

test.runIf(process.platform === 'linux')(
  'a command does not ignore the signals that the runner ignores, not even real-time ones',
  async () => {
    const directory = agentDirectory();
    const runner = await startFrom(directory, 'trap "" 34 40 64');
    const ignored = (status: string): string | undefined => /^SigIgn:\t(.*)$/m.exec(status)?.[1];
    // Node resets the first 31 signals to their default action, and no others.
    expect(BigInt(`0x${ignored(readFileSync(`/proc/${runner.pid}/status`, 'utf8'))}`) >> 31n).toBe(
      (1n << 2n) | (1n << 8n) | (1n << 32n),
    );
    const link = await attach(directory);
    const { stdout } = await link.run('a', ['/bin/cat', '/proc/self/status']);
    expect(ignored(stdout.toString())).toBe('0'.repeat(16));
    const { ended } = await link.run('b', sh('kill -34 $$; echo survived'));
    expect([ended.error_code, ended.signal]).toEqual(['signaled', 34]);
  },
);

test.runIf(process.platform === 'linux')(
  'a command has the requested soft limit of files, and its own hard limit',
  async () => {
    const harness = await SpawnerHarness.open('bare', { softFileLimit: 321 });
    expect((await harness.run(sh('ulimit -Sn'))).out).toBe('321\n');
    await harness.close();
  },
);

test('a missing home is replaced by /, and does not cause cwd_not_found', async () => {
  const harness = await SpawnerHarness.open(process.platform === 'linux' ? 'bare' : 'node');
  expect((await harness.run(['/bin/pwd'], { home: '/nonexistent' })).out).toBe('/\n');
  expect((await harness.run(['/bin/pwd'], { home: '/nonexistent', cwd: 'usr' })).out).toBe('/usr\n');
  await harness.close();
});

test('a stopped command that is cancelled continues, and its trap runs', async () => {
  const { link } = await linkedRunner();
  link.start('a', sh('trap "echo trapped; exit 5" TERM; echo ready; while :; do sleep 0.05; done'));
  const pid = await link.started('a');
  await link.printed('a', 'ready');
  process.kill(-pid, 'SIGSTOP');
  link.send({ type: 'cancel', execution_id: 'a', grace_ms: 30_000 });
  const { ended, stdout } = await link.ended('a');
  expect(ended).toMatchObject({ status: 'cancelled', exit_code: 5 });
  expect(stdout.toString()).toBe('ready\ntrapped\n');
});

/** Writes 0 to 39 to stdout and stderr in turn, each once the agent has read the one before: nobody knows the order of two that wait (FIONREAD is 0x541B). */
const ALTERNATING_WRITES = `
sub read_by_agent { my $left = pack 'i', 0; do { ioctl $_[0], 0x541B, $left or die $! } while unpack 'i', $left }
for (0 .. 39) { for my $stream (*STDOUT, *STDERR) { syswrite $stream, "$_\\n"; read_by_agent($stream) } }`;

test.runIf(existsSync('/usr/bin/perl'))('alternating writes to stdout and stderr keep their order', async () => {
  const { link } = await linkedRunner();
  const { records } = await link.run('a', ['/usr/bin/perl', '-e', ALTERNATING_WRITES]);
  const chunks = records.filter(({ kind }) => kind === 2 || kind === 3);
  const order = chunks.map(({ kind, payload }) => `${kind === 2 ? 'o' : 'e'}${payload.toString().trim()}`);
  expect(order).toEqual(Array.from({ length: 40 }, (_, i) => [`o${i}`, `e${i}`]).flat());
});

test.runIf(process.getuid?.() === 0)('a change to a cgroup by one command does not reach the next one', async () => {
  const harness = await SpawnerHarness.open('native');
  const inCgroup =
    'dir=/proc/self/root$(awk \'$3 ~ /cgroup2/ || $0 ~ / cgroup2 / {print $2}\' /proc/mounts | head -1)$(sed -n "s/^0:://p" /proc/self/cgroup)';
  // From the third on, a command gets the cgroup of the one before, if that one has not changed it.
  for (let i = 0; i < 3; i++) {
    const { handle } = await harness.run(['/bin/true']);
    harness.spawner.release(handle);
    harness.spawner.tidy();
  }
  const changing = await harness.run(sh(`${inCgroup}; mkdir "$dir/below"; echo 0 > "$dir/cgroup.max.descendants"`));
  await oneTurn(); // As in the runner, which tidies after the poll.
  harness.spawner.release(changing.handle);
  harness.spawner.tidy();
  const next = await harness.run(
    sh(`${inCgroup}; ls -d "$dir/below" 2>/dev/null; cat "$dir/cgroup.max.descendants" 2>/dev/null || echo max`),
  );
  expect(next.out).toBe('max\n');
  await harness.close();
});

test('an unknown name, a number and a malformed name are user_not_found', async () => {
  const { link } = await linkedRunner();
  expect((await link.run('a', ['/bin/true'], { user: '0' })).ended.error_code).toBe('user_not_found');
  expect((await link.run('b', ['/bin/true'], { user: 'nobody; id' })).ended.error_code).toBe('user_not_found');
});
