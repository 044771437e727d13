/**
 * Measures thousands of agents on several servers with one PostgreSQL: memory, writes of idle agents, dispatch from the server that owns the
 * machine and from another one, and the reconnects after one server and after all were killed. Balancers and agents are several processes,
 * each for at most 9,000 agents: a process may have 20,000 open files, and a balancer has two for each agent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { TestCluster } from '../test/helpers/cluster.ts';
import { cpuMs, cpuMsWithChildren } from './counting/cpu-time.ts';
import { Balancers } from './floors/balancers.ts';
import { Fleet } from './floors/fleet.ts';
import { type Requests, requestsTo } from './requests.ts';
import { inParallel, percentile, say, seconds, TINY } from './rounds.ts';

const SERVERS = Number(process.env['BENCH_SERVERS'] ?? 3);
const AGENTS = TINY ? 20 : Number(process.env['BENCH_AGENTS'] ?? 10_000);
const DISPATCHES = TINY ? 40 : 2500;
const IDLE_S = TINY ? 1 : 40;
const MAX_AGENTS_A_PROCESS = TINY ? 10 : 9000;

const cluster = await TestCluster.start({
  servers: SERVERS,
  settings: { EXECPLANE_LOG_LEVEL: 'error' },
  isDurable: true,
});
const balancers = await Balancers.start(
  Math.ceil(AGENTS / MAX_AGENTS_A_PROCESS),
  cluster.servers.map(({ port }) => port),
);
let fleet: Fleet | undefined;

try {
  process.stdout.write(`\n${AGENTS} agents over ${SERVERS} servers\n`);
  const before = residentBytes();
  const body = { reusable: true };
  const { token } = await cluster.server(0).client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
  const links = new Fleet(balancers.urls, { count: AGENTS, token });
  fleet = links;
  const all = (): Promise<void> => links.reached((connected) => connected === AGENTS);
  say('cluster-agents', 'joined', await costOf(all));
  await sleep(TINY ? 100 : 5000);
  say('cluster-agents', 'memory of the servers', { kb_a_machine: (residentBytes() - before) / AGENTS / 1000 });
  say('cluster-agents', `idle for ${IDLE_S} s`, await idle());
  await dispatches();
  await cluster.server(0).kill();
  say('cluster-agents', 'one server killed, until all are back', await costOf(() => backAfter(links)));
  await Promise.all(cluster.servers.slice(1).map((server) => server.kill()));
  await links.reached((connected) => connected === 0);
  const storm = await costOf(async () => {
    await Promise.all(cluster.servers.map((server) => server.restart()));
    await all();
  });
  say('cluster-agents', 'all killed and started again, until all are back', storm);
} finally {
  await fleet?.stop();
  await balancers.stop();
  await cluster.dispose();
}

/** Returns the duration of a task, and the processor time of the servers that run and of the database for each agent. */
async function costOf(task: () => Promise<void>): Promise<Record<string, number>> {
  const before = cpuNow();
  const duration = await seconds(task);
  const after = cpuNow();
  const each = (name: keyof typeof after): number => ((after[name] - before[name]) * 1000) / AGENTS;
  return { seconds: duration, servers_cpu_us_an_agent: each('servers'), database_cpu_us_an_agent: each('database') };
}

/** Waits until all links are connected again. The kernel has closed the links of the killed server, but they may still be counted. */
async function backAfter(links: Fleet): Promise<void> {
  await links.reached((connected) => connected < AGENTS);
  await links.reached((connected) => connected === AGENTS);
}

/** Measures the cost of idle agents: the rows written for them, the write-ahead log, and the processor time of the database. */
async function idle(): Promise<Record<string, number>> {
  const [since, wal, cpu, before] = [await transactionId(), await walBytes(), cpuNow(), await transactions()];
  await sleep(IDLE_S * 1000);
  const [written, logged, now, after] = [
    await machinesWritten(since),
    await walBytes(),
    cpuNow(),
    await transactions(),
  ];
  return {
    machine_rows_written: written,
    wal_bytes_a_second: (logged - wal) / IDLE_S,
    transactions_a_second: (after - before) / IDLE_S,
    servers_percent_of_a_core: (now.servers - cpu.servers) / (IDLE_S * 10),
    database_percent_of_a_core: (now.database - cpu.database) / (IDLE_S * 10),
  };
}

/** Returns the transactions of the database so far, reads included. PostgreSQL's counts are delayed by a second. */
async function transactions(): Promise<number> {
  const [row] = await ask<{ count: string }>(
    'SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = current_database()',
  );
  return Number(row?.count);
}

/** Returns the number of machines whose row was written by the transaction or a later one. PostgreSQL's own counts are delayed. */
async function machinesWritten(since: string): Promise<number> {
  const [row] = await ask<{ rows: string }>(
    `SELECT count(*) AS rows FROM machines WHERE xmin::text::bigint >= ${since}`,
  );
  return Number(row?.rows);
}

async function transactionId(): Promise<string> {
  const [row] = await ask<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return row?.id ?? '';
}

async function walBytes(): Promise<number> {
  const [row] = await ask<{ wal: string }>("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal");
  return Number(row?.wal);
}

function ask<Row extends object>(text: string): Promise<Row[]> {
  return cluster.postgres.query<Row>(text, cluster.server(0).settings['EXECPLANE_DATABASE_URL']);
}

function cpuNow(): { servers: number; database: number } {
  const servers = cluster.servers.reduce((sum, server) => sum + cpuMs(server.process.pid), 0);
  return { servers, database: cpuMsWithChildren(cluster.postgres.pid) };
}

/** Measures dispatches, 8 at a time, each first by the server that owns the machine, then by the next one. */
async function dispatches(): Promise<void> {
  const owners = await indexesOfOwners();
  const apis = cluster.servers.map(({ url, key }) => requestsTo(url, key, 8));
  const times: Record<'owner' | 'other', number[]> = { owner: [], other: [] };
  const dispatch = async (machine: string, server: number, own: number[]): Promise<void> => {
    const from = performance.now();
    const api = apis[server % apis.length] as Requests;
    const { json } = await api.post(`/v1/machines/${machine}/executions?wait_ms=20000`, { command: ['true'] });
    if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
    own.push(performance.now() - from);
  };
  await inParallel(DISPATCHES, 8, async (turn) => {
    const machine = `dm-sim-${(turn * 7919) % AGENTS}`;
    const owner = owners.get(machine) ?? 0;
    await dispatch(machine, owner, times.owner);
    await dispatch(machine, owner + 1, times.other);
  });
  for (const api of apis) await api.close();
  for (const [from, own] of Object.entries(times)) {
    say('cluster-agents', `dispatch from the ${from} server`, {
      p50_ms: percentile(own, 0.5),
      p99_ms: percentile(own, 0.99),
    });
  }
}

/** Returns for each machine the index of the server that owns it: the servers registered in the order of their start. */
async function indexesOfOwners(): Promise<Map<string, number>> {
  const replicas = await ask<{ id: string }>('SELECT id FROM replicas ORDER BY id');
  const indexes = new Map(replicas.map(({ id }, index) => [id, index]));
  const machines = await ask<{ machine: string; owner: string }>(
    'SELECT public_id AS machine, owner FROM machines WHERE owner IS NOT NULL',
  );
  return new Map(machines.map(({ machine, owner }) => [machine, indexes.get(owner) ?? 0]));
}

function residentBytes(): number {
  const resident = cluster.servers.map(({ process: { pid } }) => {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) * 1024;
  });
  return resident.reduce((sum, bytes) => sum + bytes, 0);
}
