/** (g) Measures the resident memory of server, link and runner: at rest, at the peak of a flood of output, and after it. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { inParallel, say, TINY } from './rounds.ts';

const FLOODS = TINY ? 2 : 8;
const FLOOD_BYTES = TINY ? 1_000_000 : 500_000_000;
const SHORT = TINY ? 20 : 5000;
const SETTLE_MS = TINY ? 100 : 10_000;
/** Time after the work until memory is measured again, ms. */
const AFTER_MS = TINY ? 100 : 60_000;

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, 32);
const executions = `/v1/machines/${deployment.agent.machineId}/executions`;

try {
  await sleep(SETTLE_MS);
  const rest = resident();
  let worst = rest;
  const watch = setInterval(() => {
    worst = highest(worst, resident());
  }, 50);
  await inParallel(FLOODS, FLOODS, (index) => run(['head', '-c', String(FLOOD_BYTES + index), '/dev/urandom']));
  await inParallel(SHORT, 32, () => run(['/bin/true']));
  clearInterval(watch);
  await sleep(AFTER_MS);
  report({
    'at rest': rest,
    [`worst of ${FLOODS} floods and ${SHORT} short ones`]: worst,
    'a minute after': resident(),
  });
} finally {
  await api.close();
  await deployment.dispose();
}

interface Resident {
  server: number;
  link: number;
  runner: number;
}

/** MB of each process now. */
function resident(): Resident {
  const megabytes = (pid: number): number => {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Math.round(Number(kib) / 1000);
  };
  return {
    server: megabytes(deployment.server.process.pid),
    link: megabytes(deployment.agent.link.pid),
    runner: megabytes(deployment.agent.runnerPid()),
  };
}

function highest(a: Resident, b: Resident): Resident {
  return { server: Math.max(a.server, b.server), link: Math.max(a.link, b.link), runner: Math.max(a.runner, b.runner) };
}

async function run(command: readonly string[]): Promise<void> {
  let { json } = await api.post(`${executions}?wait_ms=55000`, { command });
  while (json['status'] === 'queued' || json['status'] === 'running') {
    json = (await api.get(`${executions}/${json['execution_id']}?wait_ms=55000`)).json;
  }
  if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
}

function report(moments: Record<string, Resident>): void {
  process.stdout.write('\nresident memory, MB\n');
  for (const [moment, { server, link, runner }] of Object.entries(moments)) {
    say('memory', moment, { server_mb: server, link_mb: link, runner_mb: runner });
  }
}
