/** (e) Measures thousands of agents on one server: memory per machine, heartbeats, dispatch to all of them, and reconnects after a restart. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { cpuMs } from './counting/cpu-time.ts';
import { Fleet } from './floors/fleet.ts';
import { requestsTo } from './requests.ts';
import { inParallel, percentile, say, seconds, TINY } from './rounds.ts';

const AGENTS = TINY ? 20 : 5000;
const DISPATCHES = TINY ? 40 : 5000;
const IDLE_S = TINY ? 1 : 40;

const deployment = await Deployment.start({ machine: null, server: { EXECPLANE_LOG_LEVEL: 'error' } });
let fleet: Fleet | undefined;

try {
  process.stdout.write(`\n${AGENTS} agents on one server\n`);
  const before = residentBytes();
  const token = await deployment.joinToken({ reusable: true });
  const links = new Fleet(deployment.server.url, { count: AGENTS, token });
  fleet = links;
  const joined = await seconds(() => links.reached((n) => n === AGENTS));
  await sleep(TINY ? 100 : 5000);
  const perMachine = (residentBytes() - before) / AGENTS;
  say('agents', 'joined', { seconds: joined, server_kb_a_machine: perMachine / 1000 });
  const cpu = cpuMs(deployment.server.process.pid);
  await sleep(IDLE_S * 1000);
  say('agents', 'idle, heartbeats only', {
    cpu_percent_of_a_core: (cpuMs(deployment.server.process.pid) - cpu) / (IDLE_S * 10),
  });
  say('agents', 'dispatch across all, 8 at a time', await dispatches());
  await deployment.server.kill();
  await links.reached((n) => n === 0);
  const storm = await seconds(async () => {
    await deployment.server.restart();
    await links.reached((n) => n === AGENTS);
  });
  say('agents', 'killed and started again, until all are back', { seconds: storm });
} finally {
  await fleet?.stop();
  await deployment.dispose();
}

async function dispatches(): Promise<Record<string, number>> {
  const api = requestsTo(deployment.server.url, deployment.server.key, 8);
  const times: number[] = [];
  await inParallel(DISPATCHES, 8, async (index) => {
    const from = performance.now();
    const { json } = await api.post(`/v1/machines/dm-sim-${(index * 7919) % AGENTS}/executions?wait_ms=20000`, {
      command: ['true'],
    });
    if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
    times.push(performance.now() - from);
  });
  await api.close();
  return { p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99) };
}

function residentBytes(): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${deployment.server.process.pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}
