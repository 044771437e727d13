/**
 * Runs commands at half of the possible rate for an hour (`BENCH_MINUTES=20` for less), and reads in ten equal parts how latency, resident
 * memory and open descriptors of server, link, runner and spawner move.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { percentile, perSecond, say, TINY } from './rounds.ts';

const MINUTES = Number(process.env['BENCH_MINUTES'] ?? 60);
const PARTS = TINY ? 2 : 10;
const PART_MS = TINY ? 1000 : (MINUTES * 60_000) / PARTS;
const WIDTH = 8;
/** Time in which the possible rate is measured, ms. */
const FULL_LOAD_MS = TINY ? 500 : 10_000;

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, WIDTH * 4);

try {
  const most = await perSecond(WIDTH, FULL_LOAD_MS, run);
  const rate = most / 2;
  process.stdout.write(`\nsoak: ${MINUTES} minutes at ${rate.toFixed(0)} executions of /bin/true a second\n`);
  for (let part = 1; part <= PARTS; part += 1) {
    const { ended, times } = await atRate(rate, PART_MS);
    const latency = { p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99) };
    say('soak', `part ${part} of ${PARTS}`, { ended, ...latency, ...processFigures(), load: loadavg()[0] ?? 0 });
  }
} finally {
  await api.close();
  await deployment.dispose();
}

/** Starts `rate` commands a second for `ms`, whether or not the earlier ones have ended. Waits for all. */
async function atRate(rate: number, ms: number): Promise<{ ended: number; times: number[] }> {
  const from = performance.now();
  const times: number[] = [];
  const open = new Set<Promise<void>>();
  for (let started = 0; performance.now() - from < ms; ) {
    for (const due = ((performance.now() - from) / 1000) * rate; started < due; started += 1) {
      const startedAt = performance.now();
      const one = run().then(() => void times.push(performance.now() - startedAt));
      open.add(one);
      void one.finally(() => open.delete(one)).catch(() => {});
    }
    await Promise.race([sleep(5), ...open]);
  }
  await Promise.all(open);
  return { ended: times.length, times };
}

async function run(): Promise<void> {
  const { status, json } = await api.post(`${deployment.machine.path}?wait_ms=55000`, { command: ['/bin/true'] });
  if (status !== 200 || json['status'] !== 'succeeded') throw new Error(`${status}: ${JSON.stringify(json)}`);
}

/** Resident memory in MB and open descriptors of each process. */
function processFigures(): Record<string, number> {
  const runner = deployment.agent.runnerPid();
  const [spawner] = readFileSync(`/proc/${runner}/task/${runner}/children`, 'utf8').trim().split(' ').map(Number);
  const processes = {
    server: deployment.server.process.pid,
    link: deployment.agent.link.pid,
    runner,
    ...(spawner !== undefined && spawner > 0 && { spawner }),
  };
  const figures: Record<string, number> = {};
  for (const [name, pid] of Object.entries(processes)) {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    figures[`${name}_mb`] = Number(kib) / 1000;
    figures[`${name}_files`] = readdirSync(`/proc/${pid}/fd`).length;
  }
  return figures;
}
