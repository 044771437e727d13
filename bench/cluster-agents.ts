/**
 * Measures thousands of agents on several servers with one PostgreSQL: memory, writes of idle agents, dispatch from any server, and the
 * reconnects after one server and after all were killed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { TestCluster } from '../test/helpers/cluster.ts';
import { cpuMs, cpuMsWithChildren } from './counting/cpu-time.ts';
import { Fleet } from './floors/fleet.ts';
import { type Requests, requestsTo } from './requests.ts';
import { inParallel, percentile, say, seconds, TINY } from './rounds.ts';

const SERVERS = Number(process.env['BENCH_SERVERS'] ?? 3);
const AGENTS = TINY ? 20 : Number(process.env['BENCH_AGENTS'] ?? 10_000);
const DISPATCHES = TINY ? 40 : 5000;
const IDLE_S = TINY ? 1 : 40;

const cluster = await TestCluster.start({
  servers: SERVERS,
  settings: { EXECPLANE_LOG_LEVEL: 'error' },
  isDurable: true,
});
let fleet: Fleet | undefined;

try {
  process.stdout.write(`\n${AGENTS} agents over ${SERVERS} servers\n`);
  const before = residentBytes();
  const body = { reusable: true };
  const { token } = await cluster.server(0).client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
  const links = new Fleet(cluster.balancer.url, { count: AGENTS, token });
  fleet = links;
  const all = (): Promise<void> => links.reached((connected) => connected === AGENTS);
  say('cluster-agents', 'joined', { seconds: await seconds(all) });
  await sleep(TINY ? 100 : 5000);
  say('cluster-agents', 'memory of the servers', { kb_a_machine: (residentBytes() - before) / AGENTS / 1000 });
  say('cluster-agents', `idle for ${IDLE_S} s`, await idle());
  say('cluster-agents', 'dispatch from any server, 8 at a time', await dispatches());
  await cluster.server(0).kill();
  say('cluster-agents', 'one server killed, until all are back', { seconds: await seconds(() => backAfter(links)) });
  await Promise.all(cluster.servers.slice(1).map((server) => server.kill()));
  await links.reached((connected) => connected === 0);
  const storm = await seconds(async () => {
    await Promise.all(cluster.servers.map((server) => server.restart()));
    await all();
  });
  say('cluster-agents', 'all killed and started again, until all are back', { seconds: storm });
} finally {
  await fleet?.stop();
  await cluster.dispose();
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

async function dispatches(): Promise<Record<string, number>> {
  const apis = cluster.servers.map(({ url, key }) => requestsTo(url, key, 8));
  const times: number[] = [];
  await inParallel(DISPATCHES, 8, async (index) => {
    const from = performance.now();
    const api = apis[index % apis.length] as Requests;
    const path = `/v1/machines/dm-sim-${(index * 7919) % AGENTS}/executions?wait_ms=20000`;
    const { json } = await api.post(path, { command: ['true'] });
    if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
    times.push(performance.now() - from);
  });
  for (const api of apis) await api.close();
  return { p50_ms: percentile(times, 0.5), p99_ms: percentile(times, 0.99) };
}

function residentBytes(): number {
  const resident = cluster.servers.map(({ process: { pid } }) => {
    const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib) * 1024;
  });
  return resident.reduce((sum, bytes) => sum + bytes, 0);
}
