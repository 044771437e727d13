/** (e) Thousands of agents on one server: memory per machine, heartbeats, dispatch across them, and the reconnects after a restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { World } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { inParallel, percentile, say, seconds, TINY } from './rounds.ts';

const AGENTS = TINY ? 20 : 5000;
const DISPATCHES = TINY ? 40 : 5000;
const IDLE_S = TINY ? 1 : 40;
const LINKS = fileURLToPath(new URL('./floors/simulated-links.ts', import.meta.url));

const world = await World.start({ machine: null, server: { EXECPLANE_LOG_LEVEL: 'error' } });
let links: ChildProcess | undefined;
process.once('exit', () => links?.kill('SIGKILL'));
let connected = 0;
let noticed: () => void = () => undefined;

try {
  process.stdout.write(`\n${AGENTS} agents on one server\n`);
  const before = residentBytes();
  const token = await world.joinToken({ reusable: true });
  links = spawn(process.execPath, [LINKS, world.server.url, String(AGENTS)], {
    env: { ...process.env, JOIN_TOKEN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  watch(links);
  const joined = await seconds(() => reached((n) => n === AGENTS));
  await sleep(TINY ? 100 : 5000);
  const perMachine = (residentBytes() - before) / AGENTS;
  say('agents', 'joined', { seconds: joined, server_kb_a_machine: perMachine / 1000 });
  const cpu = cpuSeconds();
  await sleep(IDLE_S * 1000);
  say('agents', 'idle, heartbeats only', { cpu_percent_of_a_core: ((cpuSeconds() - cpu) / IDLE_S) * 100 });
  say('agents', 'dispatch across all, 8 at a time', await dispatches());
  await world.server.kill();
  await reached((n) => n === 0);
  const storm = await seconds(async () => {
    await world.server.restart();
    await reached((n) => n === AGENTS);
  });
  say('agents', 'killed and started again, until all are back', { seconds: storm });
} finally {
  if (links !== undefined) {
    links.kill('SIGTERM');
    if (links.exitCode === null) await once(links, 'exit');
  }
  await world.dispose();
}

async function dispatches(): Promise<Record<string, number>> {
  const api = requestsTo(world.server.url, world.server.key, 8);
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

function watch(child: ChildProcess): void {
  if (child.stdout === null) throw new Error('no stdout');
  createInterface({ input: child.stdout }).on('line', (line) => {
    connected = Number(line.split(' ')[1]);
    noticed();
  });
}

/** Settles when the number of connected agents is reached. */
function reached(wished: (connected: number) => boolean): Promise<void> {
  return new Promise((resolve) => {
    noticed = () => {
      if (!wished(connected)) return;
      noticed = () => undefined;
      resolve();
    };
    noticed();
  });
}

function residentBytes(): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${world.server.process.pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** User and system time of the server so far. The kernel counts it in ticks of 10 ms. */
function cpuSeconds(): number {
  const fields = readFileSync(`/proc/${world.server.process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
