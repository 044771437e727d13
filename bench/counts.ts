/**
 * Counts, for each execution, costs that do not depend on the load of the machine: flushes, bytes and pages of the write-ahead log, and the
 * system calls of server, link, runner and spawner (without those of the commands). With `--hold`, a count above its limit is a failure.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { type Counts, canCount, counted } from './counting/system-calls.ts';
import { requestsTo } from './requests.ts';
import { inParallel, say, TINY } from './rounds.ts';

const EXECUTIONS = TINY ? 50 : 400;
/** Number of executions before the measurement: more than V8 needs to compile the path of one, on its own threads. */
const WARM_UP = TINY ? 20 : 1000;
/** Limits for each execution, run one at a time. System calls vary a little, because the garbage collector has its own threads. */
const LIMITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'server, 1 at a time': { system_calls: 28, flushes: 2.3, full_flushes: 0.3, log_kb: 53 },
  'link, 1 at a time': { system_calls: 9.5 },
  'runner, 1 at a time': { system_calls: 24 },
  'spawner, 1 at a time': { system_calls: 23 },
  'server, a create alone': { system_calls: 18, full_flushes: 0.3, log_kb: 32 },
};
const HOLDS = process.argv.includes('--hold');
/** Time until the work after an answer (acknowledgements, audit) is done, ms. */
const SETTLE_MS = 500;

if (!canCount()) {
  process.stdout.write('\ncounts: not measured, strace is not installed\n');
  process.exit(0);
}
const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, 32);
const executions = `/v1/machines/${deployment.agent.machineId}/executions`;

try {
  process.stdout.write('\ncounts for each execution of /bin/true\n');
  await inParallel(WARM_UP, 1, run);
  const processes = {
    server: deployment.server.process.pid,
    link: deployment.agent.link.pid,
    runner: deployment.agent.runnerPid(),
    spawner: spawnerPid(),
  };
  for (const width of [1, 32]) {
    for (const [name, pid] of Object.entries(processes)) {
      if (pid === undefined) continue;
      const counts = await counted(pid, name !== 'spawner', async () => {
        await inParallel(EXECUTIONS, width, run);
        await sleep(SETTLE_MS);
      });
      report(`${name}, ${width} at a time`, counts, name === 'server');
    }
  }
  await deployment.agent.detach();
  await deployment.away();
  const counts = await counted(processes.server, true, () => inParallel(EXECUTIONS, 1, create));
  report('server, a create alone', counts, true);
} finally {
  await api.close();
  deployment.agent.restart();
  await deployment.connected();
  await deployment.dispose();
}

function report(label: string, counts: Counts, hasLog: boolean): void {
  const each = (value: number): number => value / EXECUTIONS;
  const figures: Record<string, number> = {
    system_calls: each(counts.systemCalls),
    ...(hasLog && {
      flushes: each(counts.flushes),
      full_flushes: each(counts.fullFlushes),
      log_kb: each(counts.logBytes) / 1000,
      log_pages: each(counts.logPages),
    }),
  };
  say('counts', label, figures);
  if (HOLDS) hold(label, figures);
}

function hold(label: string, figures: Readonly<Record<string, number>>): void {
  for (const [name, limit] of Object.entries(LIMITS[label] ?? {})) {
    const figure = figures[name] ?? 0;
    if (figure <= limit) continue;
    process.stderr.write(`${label}: ${name} ${figure.toFixed(1)} is above its limit, ${limit}\n`);
    process.exitCode = 1;
  }
}

/** Returns the pid of the spawner, the runner's only child after its start. Undefined without a native spawner. */
function spawnerPid(): number | undefined {
  const runner = deployment.agent.runnerPid();
  const [child] = readFileSync(`/proc/${runner}/task/${runner}/children`, 'utf8').split(' ');
  return child === undefined || child === '' ? undefined : Number(child);
}

async function run(): Promise<void> {
  const { status, json } = await api.post(`${executions}?wait_ms=55000`, { command: ['/bin/true'] });
  if (status !== 200 || json['status'] !== 'succeeded') throw new Error(`${status}: ${JSON.stringify(json)}`);
}

async function create(): Promise<void> {
  const { status } = await api.post(executions, { command: ['/bin/true'] });
  if (status !== 200) throw new Error(String(status));
}
