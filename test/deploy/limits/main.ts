/**
 * Checks of limits, usage and ceilings, run as root by limits-vm.sh on a machine with systemd, the packages and every cgroup v2 controller.
 * Needs nothing but Node. Prints a line for each check; the last line is `all limits hold`.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  agentIn,
  api,
  connected,
  type Execution,
  execute,
  executions,
  key,
  packagedAgent,
  SERVER,
  sh,
  start,
  until,
} from './machine.ts';
import { limited, parseReading, READ_OWN, underSystemd } from './readings.ts';

const MIB = 1024 * 1024;

let failures = 0;

function check(name: string, actual: unknown, holds: boolean): void {
  if (!holds) failures += 1;
  process.stdout.write(`${holds ? 'ok  ' : 'FAIL'} ${name}: ${JSON.stringify(actual)}\n`);
}

/** Whether `actual` is within `share` of `expected`, or within `slack`, whichever allows more. */
function near(actual: number | undefined, expected: number, share: number, slack = 0): boolean {
  return actual !== undefined && Math.abs(actual - expected) <= Math.max(expected * share, slack);
}

const HOG = 'head -c 400000000 /dev/zero | tail';

async function memory(machine: string): Promise<void> {
  const sibling = await start(machine, { command: sh('read line; echo alive'), stdin_open: true });
  const limits = { memory_bytes: 64 * MIB };
  const hog = await execute(machine, { command: sh(`${HOG}; echo survived`), limits });
  check(`${machine}: too much memory is oom_killed`, hog.error_code, hog.error_code === 'oom_killed');
  check(`${machine}: and said in a sentence`, hog.error_message, /memory limit/.test(hog.error_message ?? ''));
  const peak = hog.usage?.max_memory_bytes;
  check(`${machine}: its peak is its limit`, peak, near(peak, limits.memory_bytes, 0.05));
  check(`${machine}: no process of it goes on`, hog.output?.stdout, hog.output?.stdout === '');
  const killed = await execute(machine, { command: sh('kill -9 $$'), limits });
  check(`${machine}: another SIGKILL is told apart`, killed.error_code, killed.error_code === 'signaled');
  const below = await execute(machine, { command: sh('head -c 30000000 /dev/zero | tail | wc -c'), limits });
  check(`${machine}: what stays below runs`, below.output?.stdout, below.output?.stdout.trim() === '30000000');
  await fetch(`${SERVER}${executions(machine)}/${sibling.execution_id}/stdin?close=true`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/octet-stream' },
    body: 'go\n',
  });
  const path = `${executions(machine)}/${sibling.execution_id}?wait_ms=55000&include=output`;
  const after = await api<Execution>('GET', path);
  check(`${machine}: a command beside it lives on`, after.output?.stdout, after.output?.stdout === 'alive\n');
}

/** Uses the processor for 4 s in a busy loop, then prints the used time, the numbers of periods and throttled periods, and the quota. */
const BURN = [
  "timeout 4 sh -c 'while :; do :; done'",
  READ_OWN,
  "grep -E 'nr_(periods|throttled)' $own/cpu.stat; echo quota $(cat $own/cpu.max)",
].join('; ');
const PERIOD_MS = 100;

/** Processor time divided by the time of the periods. Real time is not used, since an emulated machine can stand still. */
function shareOf(text: string): number {
  const { userMs, systemMs } = parseReading(text);
  return Number(((userMs + systemMs) / (PERIOD_MS * Number(/^nr_periods (\d+)$/m.exec(text)?.[1]))).toFixed(2));
}

async function processors(machine: string): Promise<void> {
  const { output } = await execute(machine, { command: sh(BURN), limits: { cpus: 0.5 } });
  const peer = await underSystemd(BURN, ['CPUQuota=50%']);
  const [mine, theirs] = [output?.stdout ?? '', peer].map((text) => /^quota (.*)$/m.exec(text)?.[1]);
  check(`${machine}: half a processor, as by CPUQuota=50%`, [mine, theirs], mine === '50000 100000' && mine === theirs);
  // It may get less: the virtual machine has processors that others use too.
  const [share, theirShare] = [shareOf(output?.stdout ?? ''), shareOf(peer)];
  check(`${machine}: no more than half a processor`, [share, theirShare], share > 0.1 && share <= 0.6);
  const throttled = Number(/nr_throttled (\d+)/.exec(output?.stdout ?? '')?.[1]);
  check(`${machine}: the kernel held it back`, throttled, throttled > 10);
}

async function processes(machine: string): Promise<void> {
  const bomb = { command: ['/bin/bash', '-c', 'f() { f | f; }; f'], limits: { pids: 20 }, timeout_ms: 4000 };
  const { execution_id } = await start(machine, bomb);
  const cgroup = await until('the cgroup of the fork bomb', () => limited('pids.max', '20'));
  await until('forks that are refused', () =>
    /max [1-9]/.test(readFileSync(join(cgroup, 'pids.events'), 'utf8')) ? true : undefined,
  );
  const peak = Number(readFileSync(join(cgroup, 'pids.peak'), 'utf8'));
  check(`${machine}: a fork bomb has no more processes than allowed`, peak, peak <= 20);
  const beside = await execute(machine, { command: ['/bin/echo', 'beside'] });
  check(`${machine}: a command beside it runs`, beside.output?.stdout, beside.output?.stdout === 'beside\n');
  const path = `${executions(machine)}/${execution_id}?wait_ms=55000`;
  const { status } = await api<Execution>('GET', path);
  check(`${machine}: it ends whole at its timeout`, status, status === 'expired');
  await until('the end of all its processes', () => (limited('pids.max', '20') === undefined ? true : undefined));
}

/**
 * Starts processes until a fork is refused, then prints the peak of their number and that of refused forks. From the first fork on it only
 * uses built-in commands, which need no fork.
 */
const FORKS = [
  'own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)',
  '(while :; do sleep 8 & done) 2>/dev/null',
  'read peak <$own/pids.peak; read word refused <$own/pids.events; echo $peak $refused',
].join('; ');

async function processLimit(machine: string): Promise<void> {
  const { output } = await execute(machine, { command: sh(FORKS), limits: { pids: 20 } });
  const [mine, theirs] = [output?.stdout ?? '', await underSystemd(FORKS, ['TasksMax=20'])].map((text) => text.trim());
  check(
    `${machine}: as many processes as by TasksMax=20, and refused forks`,
    [mine, theirs],
    mine === theirs && mine === '20 1',
  );
}

/** Uses about 1 s of processor time and 100 MB of memory, and writes 32 MiB to the disk. One of its processes has no parent that waits. */
const LOAD = [
  'cd /var/tmp && dir=$(mktemp -d -p /var/tmp) && chmod 755 $dir && cd $dir',
  "(timeout 0.7 sh -c 'while :; do :; done'; : >a) & timeout 0.7 sh -c 'while :; do :; done'",
  'until [ -e a ]; do sleep 0.05; done',
  'head -c 100000000 /dev/zero | tail >/dev/null',
  'dd if=/dev/zero of=b bs=1M count=32 oflag=direct 2>/dev/null',
  'cd /; rm -r $dir',
  READ_OWN,
].join('; ');

async function usage(machine: string): Promise<void> {
  // At the same time: an emulated machine takes more processor time for the same work while its host is busy.
  const both = [execute(machine, { command: sh(LOAD) }), underSystemd(LOAD)] as const;
  const [{ output, usage: told }, printed] = await Promise.all(both);
  const [own, peer] = [parseReading(output?.stdout ?? ''), parseReading(printed)];
  process.stdout.write(`  ${machine}: told ${JSON.stringify(told)}\n`);
  process.stdout.write(`  ${machine}: own reading ${JSON.stringify(own)}\n`);
  process.stdout.write(`  systemd-run: ${JSON.stringify(peer)}\n`);
  const cpuMs = told && told.cpu_user_ms + told.cpu_system_ms;
  const rows: [name: string, value: number | undefined, own: number, systemd: number, slack: number][] = [
    // Only the sum is compared: on an emulated machine the shares of user and system differ from run to run.
    ['processor time', cpuMs, own.userMs + own.systemMs, peer.userMs + peer.systemMs, 500],
    ['memory', told?.max_memory_bytes, own.peakBytes, peer.peakBytes, 4 * MIB],
    ['bytes written', told?.io_write_bytes, own.writtenBytes, peer.writtenBytes, MIB],
  ];
  for (const [name, value, reading, systemd, slack] of rows) {
    check(`${machine}: ${name} as its cgroup says`, [value, reading], near(value, reading, 0.1, slack));
    check(`${machine}: ${name} as by systemd-run`, [value, systemd], near(value, systemd, 0.5, slack));
  }
}

/** Checks that `execplane doctor agent` of the package reports limits by cgroups. */
async function doctorSays(): Promise<void> {
  const flags = ['doctor', 'agent', '--agent-dir', '/var/lib/execplane-agent/state', '--url', SERVER];
  // It exits with 1 if any other check fails. It takes so long here that the server closes idle connections, which this process has to notice.
  const { stdout } = await promisify(execFile)('/usr/bin/execplane', flags).catch((error: { stdout: string }) => error);
  const line = stdout.split('\n').find((text) => text.includes('cgroup'));
  check('doctor says that commands can be limited', line, /with limits/.test(line ?? ''));
}

/** The policy of the packaged agent's machine is a ceiling for every command. */
async function ceilings(machine: string): Promise<void> {
  const policy = '/var/lib/execplane-agent/state/policy.json';
  writeFileSync(policy, JSON.stringify({ max_memory_bytes: 64 * MIB, max_cpus: 1, max_pids: 50 }), { mode: 0o644 });
  const show = 'own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); cat $own/memory.max $own/cpu.max $own/pids.max';
  const limitsOf = async (limits?: object): Promise<string | undefined> =>
    (await execute(machine, { command: sh(show), ...(limits && { limits }) })).output?.stdout
      .trim()
      .replace(/\s+/g, ' ');
  const rows: [string, object | undefined, string][] = [
    ['no limits', undefined, `${64 * MIB} 100000 100000 50`],
    ['higher limits', { memory_bytes: 1024 * MIB, cpus: 2, pids: 1000 }, `${64 * MIB} 100000 100000 50`],
    ['lower limits', { memory_bytes: 32 * MIB, cpus: 0.25, pids: 10 }, `${32 * MIB} 25000 100000 10`],
  ];
  for (const [name, limits, expected] of rows) {
    const actual = await limitsOf(limits);
    check(`${machine}: under the ceilings, a command with ${name}`, actual, actual === expected);
  }
  const hog = await execute(machine, { command: sh(HOG) });
  check(`${machine}: a ceiling kills as a limit does`, hog.error_code, hog.error_code === 'oom_killed');
  writeFileSync(policy, '{}');
}

async function unlimited(machine: string): Promise<void> {
  const refused = await execute(machine, { command: ['/bin/true'], limits: { pids: 10 } });
  check(`${machine}: limits are refused`, refused.error_code, refused.error_code === 'limits_unsupported');
  const burn = await execute(machine, { command: sh("timeout 0.5 sh -c 'while :; do :; done'; exit 0") });
  check(`${machine}: usage is still told`, burn.usage, (burn.usage?.cpu_user_ms ?? 0) > 250);
}

async function cliFlags(machine: string): Promise<void> {
  const flags = ['--memory', '64m', '--cpus', '0.5', '--pids', '40'];
  const env = { PATH: process.env['PATH'] ?? '', EXECPLANE_API_KEY: key, EXECPLANE_URL: SERVER };
  const ended = await promisify(execFile)('/usr/bin/execplane', ['exec', ...flags, machine, '--', ...sh(HOG)], {
    env,
  }).then(
    () => ({ code: 0, stderr: '' }),
    (error: { code: number; stderr: string }) => error,
  );
  const { code, stderr } = ended;
  check('exec --memory: exit code and reason', [code, stderr.trim()], code === 137 && /memory limit/.test(stderr));
}

await packagedAgent('dm-delegated');
await agentIn('dm-root', ['Delegate=yes', 'DelegateSubgroup=agent']);
await agentIn('dm-plain', ['User=execplane-agent']);
for (const machine of ['dm-delegated', 'dm-root']) {
  await memory(machine);
  await processors(machine);
  await processes(machine);
  await processLimit(machine);
  await usage(machine);
}
await ceilings('dm-delegated');
await unlimited('dm-plain');
await cliFlags('dm-delegated');
await doctorSays();
await promisify(execFile)('systemctl', ['restart', 'execplane-agent']);
await connected('dm-delegated');
// Must run before the first command after the restart, which makes the cgroup of the commands again.
await doctorSays();
await memory('dm-delegated');
if (failures === 0) process.stdout.write('all limits hold\n');
process.exitCode = failures === 0 ? 0 : 1;
