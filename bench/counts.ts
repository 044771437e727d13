/**
 * Counts, for each execution, costs that hardly depend on the load of the machine: flushes, bytes and pages of the write-ahead log, and the
 * system calls of server, link, runner and spawner (without those of the commands). With `--hold`, a count that stays above its limit is a failure.
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
/**
 * Limits for each execution, run one at a time: about a third above the counts of a busy machine, where what one write to the log or one wake-up
 * takes together on a quiet machine comes apart. The garbage collector's own threads add to the system calls too.
 */
const LIMITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'server, 1 at a time': { system_calls: 40, flushes: 2.9, full_flushes: 0.3, log_kb: 68 },
  'link, 1 at a time': { system_calls: 12 },
  'runner, 1 at a time': { system_calls: 21 },
  'spawner, 1 at a time': { system_calls: 27 },
  'server, a create alone': { system_calls: 22, full_flushes: 0.3, log_kb: 32 },
};
/** Number of measurements, one of which must be within the limits: other work on the machine adds to a count, and takes nothing from it. */
const ATTEMPTS = 3;
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
      await measure(`${name}, ${width} at a time`, name === 'server', () =>
        counted(pid, name !== 'spawner', async () => {
          await inParallel(EXECUTIONS, width, run);
          await sleep(SETTLE_MS);
        }),
      );
    }
  }
  await deployment.agent.detach();
  await deployment.away();
  await measure('server, a create alone', true, () =>
    counted(processes.server, true, () => inParallel(EXECUTIONS, 1, create)),
  );
} finally {
  await api.close();
  deployment.agent.restart();
  await deployment.connected();
  await deployment.dispose();
}

/** Counts and reports, again if a count is above its limit. Fails if that is so at each attempt. */
async function measure(label: string, hasLog: boolean, count: () => Promise<Counts>): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const figures = perExecution(await count(), hasLog);
    say('counts', label, figures);
    const excesses = HOLDS ? excessesOf(label, figures) : [];
    for (const excess of excesses) process.stderr.write(`${excess}\n`);
    if (excesses.length === 0) return;
  }
  process.exitCode = 1;
}

function perExecution(counts: Counts, hasLog: boolean): Record<string, number> {
  const each = (value: number): number => value / EXECUTIONS;
  return {
    system_calls: each(counts.systemCalls),
    ...(hasLog && {
      flushes: each(counts.flushes),
      full_flushes: each(counts.fullFlushes),
      log_kb: each(counts.logBytes) / 1000,
      log_pages: each(counts.logPages),
    }),
  };
}

/** Describes each figure that is above its limit. */
function excessesOf(label: string, figures: Readonly<Record<string, number>>): string[] {
  return Object.entries(LIMITS[label] ?? {}).flatMap(([name, limit]) => {
    const figure = figures[name] ?? 0;
    return figure <= limit ? [] : [`${label}: ${name} ${figure.toFixed(1)} is above its limit, ${limit}`];
  });
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
