/**
 * Compares PostgreSQL, with one server and with three, with SQLite in the same rounds: executions, creates and output a second; and for each
 * execution the processor time of servers and database, bytes of write-ahead log and transactions.
 */
import { TestCluster } from '../test/helpers/cluster.ts';
import { Deployment, type ServerUnderTest } from '../test/helpers/harness.ts';
import { cpuMs, cpuMsWithChildren } from './counting/cpu-time.ts';
import { Fleet } from './floors/fleet.ts';
import { type Requests, requestsTo } from './requests.ts';
import { type Contender, measure, percentile, perSecond, print, say, seconds, TINY } from './rounds.ts';

const WIDTHS = [1, 32];
/** Numbers of servers on one PostgreSQL. */
const SERVERS = (process.env['BENCH_SERVERS'] ?? '1,3').split(',').map(Number);
const SLICE_MS = TINY ? 200 : 3000;
/** The machine of a real agent, for output. Executions run on simulated machines, because starts of one machine are sent one after the other. */
const MACHINE = 'dm-bench';
const MACHINES = TINY ? 5 : 47;
/** A machine without an agent: its executions stay queued. */
const ABSENT = 'dm-absent';
/** `isLinked`: EXECPLANE_CLUSTER_ADDRESS is set. */
const CLUSTERS = [
  { servers: 1, isLinked: false },
  { servers: 3, isLinked: false },
  { servers: 3, isLinked: true },
];
const OUTPUT_BYTES = TINY ? 1_000_000 : 64_000_000;
const SETTINGS = {
  EXECPLANE_LOG_LEVEL: 'warn',
  EXECPLANE_MAX_OUTPUT_BYTES: String(OUTPUT_BYTES),
  EXECPLANE_MAX_QUEUE: '10000000',
};

/** A measured setup: servers, and the database that they share. */
interface Setup {
  name: string;
  servers: readonly ServerUnderTest[];
  apis: readonly Requests[];
  cluster?: TestCluster;
}

/** The cost of a contender, summed over its rounds. */
interface Cost {
  executions: number;
  serversMs: number;
  databaseMs: number;
  walBytes: number;
  transactions: number;
}

const FLOOR = 'SQLite';
const deployment = await Deployment.start({ server: SETTINGS, machine: MACHINE });
const clusters: TestCluster[] = [];
const fleets: Fleet[] = [];
const setups: Setup[] = [setupOf(FLOOR, [deployment.server])];
const times = new Map<string, number[]>();
const costs = new Map<string, Cost>();

try {
  await joinFleet(deployment.server, deployment.server.url);
  for (const { servers, isLinked } of CLUSTERS.filter((cluster) => SERVERS.includes(cluster.servers))) {
    const cluster = await TestCluster.start({ servers, settings: SETTINGS, isDurable: true, isLinked });
    clusters.push(cluster);
    await cluster.join(MACHINE);
    await joinFleet(cluster.server(0), cluster.balancer.url);
    const name = `PostgreSQL, ${servers} ${servers === 1 ? 'server' : 'servers'}${isLinked ? ', linked' : ''}`;
    setups.push({ ...setupOf(name, cluster.servers), cluster });
  }
  for (const { apis } of setups) await apis[0]?.post('/v1/machines', { machine_id: ABSENT });
  const contenders = [
    ...WIDTHS.flatMap((width) => setups.map((setup) => executions(setup, width))),
    ...setups.map(creates),
    ...setups.map(output),
  ];
  print('cluster', 'one database and the other', await measure(contenders));
  process.stdout.write('\n');
  for (const [name, own] of times)
    say('cluster', name, { p50_ms: percentile(own, 0.5), p99_ms: percentile(own, 0.99) });
  for (const [name, cost] of costs) say('cluster', `${name}, each`, perExecution(cost));
} finally {
  for (const fleet of fleets) await fleet.stop();
  for (const { apis } of setups) for (const api of apis) await api.close();
  for (const cluster of clusters) await cluster.dispose();
  await deployment.dispose();
}

async function joinFleet({ client }: ServerUnderTest, url: string): Promise<void> {
  const body = { reusable: true };
  const { token } = await client.ask<{ token: string }>('POST', '/v1/join-tokens', { body });
  const fleet = new Fleet(url, { count: MACHINES, token });
  fleets.push(fleet);
  await fleet.reached((connected) => connected === MACHINES);
}

function setupOf(name: string, servers: readonly ServerUnderTest[]): Setup {
  return { name, servers, apis: servers.map(({ url, key }) => requestsTo(url, key, Math.max(...WIDTHS))) };
}

function executions(setup: Setup, width: number): Contender {
  const own: number[] = [];
  const cost: Cost = { executions: 0, serversMs: 0, databaseMs: 0, walBytes: 0, transactions: 0 };
  const labelOf = (name: string): string => `executions, ${width} at a time: ${name}`;
  times.set(labelOf(setup.name), own);
  costs.set(labelOf(setup.name), cost);
  let turn = 0;
  const task = async (): Promise<void> => {
    turn += 1;
    // The numbers of machines and servers are coprime, so that every machine is used through every server.
    const path = `/v1/machines/dm-sim-${(turn * 7) % MACHINES}/executions?wait_ms=55000`;
    const { json } = await apiOf(setup, turn).post(path, { command: ['/bin/true'] });
    if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
  };
  return against(setup, labelOf, '/s', async () => {
    const before = await spent(setup);
    const [done, rate] = [own.length, await perSecond(width, SLICE_MS, task, own)];
    const after = await spent(setup);
    cost.executions += own.length - done;
    for (const name of ['serversMs', 'databaseMs', 'walBytes', 'transactions'] as const)
      cost[name] += after[name] - before[name];
    return rate;
  });
}

function creates(setup: Setup): Contender {
  let turn = 0;
  const task = async (): Promise<void> => {
    turn += 1;
    const { json } = await apiOf(setup, turn).post(`/v1/machines/${ABSENT}/executions`, { command: ['/bin/true'] });
    if (json['execution_id'] === undefined) throw new Error(JSON.stringify(json));
  };
  return against(
    setup,
    (name) => `creates, 32 at a time: ${name}`,
    '/s',
    () => perSecond(32, SLICE_MS, task),
  );
}

function output(setup: Setup): Contender {
  const command = ['head', '-c', String(OUTPUT_BYTES), '/dev/urandom'];
  const task = async (): Promise<void> => {
    const path = `/v1/machines/${MACHINE}/executions`;
    let { json } = await apiOf(setup, 0).post(`${path}?wait_ms=55000`, { command });
    while (json['status'] === 'running') {
      json = (await apiOf(setup, 0).get(`${path}/${json['execution_id']}?wait_ms=55000`)).json;
    }
    if (json['status'] !== 'succeeded' || json['stdout_truncated'] === true) throw new Error(JSON.stringify(json));
  };
  const rate = async (): Promise<number> => OUTPUT_BYTES / 1_000_000 / (await seconds(task));
  return against(setup, (name) => `output: ${name}`, 'MB/s', rate);
}

function against(setup: Setup, labelOf: (name: string) => string, unit: string, run: () => Promise<number>): Contender {
  const contender = { name: labelOf(setup.name), unit, run };
  return setup.name === FLOOR ? contender : { ...contender, floor: labelOf(FLOOR) };
}

/** Returns the client for a turn: requests are spread over the servers. */
function apiOf({ apis }: Setup, turn: number): Requests {
  const api = apis[turn % apis.length];
  if (api === undefined) throw new Error('no server');
  return api;
}

/** Returns the processor time and log bytes of the servers and the database so far. */
async function spent({ servers, cluster }: Setup): Promise<Omit<Cost, 'executions'>> {
  const serversMs = servers.reduce((sum, server) => sum + cpuMs(server.process.pid), 0);
  if (cluster === undefined) return { serversMs, databaseMs: 0, walBytes: 0, transactions: 0 };
  const text = `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal, xact_commit AS transactions
    FROM pg_stat_database WHERE datname = current_database()`;
  const [row] = await cluster.postgres.query<{ wal: string; transactions: string }>(text);
  const databaseMs = cpuMsWithChildren(cluster.postgres.pid);
  return { serversMs, databaseMs, walBytes: Number(row?.wal), transactions: Number(row?.transactions) };
}

function perExecution(cost: Cost): Record<string, number> {
  const { executions: count, serversMs, databaseMs, walBytes, transactions } = cost;
  const own = { servers_cpu_us: (serversMs * 1000) / count };
  if (walBytes === 0) return own;
  const database = { database_cpu_us: (databaseMs * 1000) / count, wal_bytes: walBytes / count };
  return { ...own, ...database, transactions: transactions / count };
}
