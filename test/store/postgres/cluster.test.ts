/** The cluster role on a real PostgreSQL, with two servers. */
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { ClusterStore, Hint, Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';

const FACTS = { vcpu: 2, memory_mib: 1024, storage_gib: 10 };
const POLL = { timeout: 20_000, interval: 20 };
type ClusteredStore = Store & { cluster: ClusterStore };

let postgres: TestPostgres | undefined;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());

/** Two servers on their own schema; the first holds `dm-one`. */
async function twoServers() {
  if (postgres === undefined) throw new Error('PostgreSQL does not run');
  const url = await postgres.schema();
  const open = async (): Promise<ClusteredStore> => {
    const store = await openPostgresStore({ url, version: 'test' });
    onTestFinished(() => store.close());
    if (store.cluster === undefined) throw new Error('no cluster role');
    return { ...store, cluster: store.cluster };
  };
  const [one, two] = [await open(), await open()];
  await one.createMachine({ machineId: 'dm-one', now: Date.now() });
  const connected = await connect(one);
  return { one, two, connected, postgres, url };
}

async function connect(store: Store, runnerInstance = 'runner-1') {
  return store.machineConnected({
    machineId: 'dm-one',
    runnerInstance,
    bootId: 'boot',
    facts: FACTS,
    now: Date.now(),
  });
}

const take = ({ cluster }: ClusteredStore, known: readonly number[] = []) => cluster.takeOrders({ known });

test('each server has its own id, and knows how many are alive', async () => {
  const { one, two } = await twoServers();
  expect(one.cluster.replicaId).not.toBe(two.cluster.replicaId);
  const both = { outcome: 'alive', live: 2, isAlone: false };
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject(both);
  const draining = await two.cluster.heartbeat({ draining: true });
  expect(draining).toMatchObject({ outcome: 'alive', live: 1 });
  // Clients still wait on a server that drains, so that it is told of commits.
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject({ live: 1, isAlone: false });
  await two.cluster.leave();
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject({ live: 1, isAlone: true });
  expect(Math.abs(performance.now() + draining.clockOffsetMs - Date.now())).toBeLessThan(5000);
});

test('the database says which connections a server holds, and a takeover moves them', async () => {
  const { one, two, connected } = await twoServers();
  expect(await one.cluster.connectionsHeld()).toEqual([
    { machineId: 'dm-one', epoch: connected.outcome === 'applied' ? connected.epoch : -1 },
  ]);
  expect(await two.cluster.connectionsHeld()).toEqual([]);
  await connect(two);
  expect(await one.cluster.connectionsHeld()).toEqual([]);
  expect(await two.cluster.connectionsHeld()).toHaveLength(1);
});

test('an order reaches the server that holds the machine, until it is answered, and its answer returns once', async () => {
  const { one, two } = await twoServers();
  const order = { machineId: 'dm-one', kind: 'stdin', body: { a: 1 }, payload: Buffer.from([0, 255, 10]) };
  const sent = await two.cluster.sendOrder(order);
  expect(sent?.replicaId).toBe(one.cluster.replicaId);
  expect(await take(two)).toEqual([]);
  const orderIds = [sent?.orderId ?? -1];
  // A call whose answer was lost is repeated.
  for (const _ of [1, 2]) expect(await take(one)).toEqual([{ ...order, orderId: sent?.orderId }]);
  expect(await take(one, orderIds)).toEqual([]);
  expect(await two.cluster.takeAnswers({ orderIds })).toEqual([]);
  await one.cluster.answerOrder({ orderId: orderIds[0] ?? -1, answer: { outcome: 'sent' } });
  expect(await take(one)).toEqual([]);
  expect(await two.cluster.takeAnswers({ orderIds })).toEqual([{ orderId: orderIds[0], answer: { outcome: 'sent' } }]);
  // It is gone, as after a crash of the database.
  expect(await two.cluster.takeAnswers({ orderIds })).toEqual([{ orderId: orderIds[0] }]);
});

test('an order can be withdrawn until it is taken', async () => {
  const { one, two } = await twoServers();
  const order = { machineId: 'dm-one', kind: 'signal', body: {} };
  const send = async () => {
    const sent = await two.cluster.sendOrder(order);
    return { orderId: sent?.orderId ?? -1 };
  };
  expect(await two.cluster.withdrawOrder(await send())).toBe(true);
  expect(await take(one)).toEqual([]);
  const taken = await send();
  expect(await take(one)).toMatchObject([order]);
  expect(await two.cluster.withdrawOrder(taken)).toBe(false);
  expect(await two.cluster.withdrawOrder({ orderId: -1 })).toBe(false);
});

test('no order is sent for a machine that no server holds; an order to all reaches all others', async () => {
  const { one, two, connected } = await twoServers();
  if (connected.outcome !== 'applied') throw new Error(connected.outcome);
  await one.machineDisconnected({ machineId: 'dm-one', epoch: connected.epoch, now: Date.now() });
  const order = { machineId: 'dm-one', kind: 'signal', body: {} };
  expect(await two.cluster.sendOrder(order)).toBeUndefined();
  expect(await two.cluster.sendToAll(order)).toEqual([one.cluster.replicaId]);
  expect(await take(one)).toMatchObject([order]);
});

test('hints reach every server, however many are sent at once; a listener is told of its new connection', async () => {
  const { one, two, postgres: database } = await twoServers();
  const heard: Hint[] = [];
  let fresh = 0;
  const stop = two.cluster.listen({
    hinted: (hint) => void heard.push(hint),
    missedHints: () => {
      fresh += 1;
    },
  });
  await expect.poll(() => fresh, POLL).toBe(1);
  const hints: Hint[] = Array.from({ length: 1000 }, (_, index) => ({
    about: 'execution',
    executionId: `ex-${index}-${'x'.repeat(20)}`,
    progress: index,
  }));
  await one.cluster.hint([...hints, { about: 'machine', machineId: 'dm-one' }, { about: 'inbox', replicaId: 7 }]);
  await expect.poll(() => heard.length, POLL).toBe(1002);
  expect(heard.slice(0, 1000)).toEqual(hints);
  expect(heard.slice(1000)).toEqual([
    { about: 'machine', machineId: 'dm-one' },
    { about: 'inbox', replicaId: 7 },
  ]);
  await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`);
  await expect.poll(() => fresh, POLL).toBe(2);
  await stop();
});

test('a server that was taken for dead is told so, holds nothing, and others can take its machines', async () => {
  const { one, two, postgres: database, url } = await twoServers();
  const before = one.cluster.replicaId;
  await database.query(
    `UPDATE replicas SET heartbeat_at = clock_timestamp() - interval '1 hour' WHERE id = ${before}`,
    url,
  );
  await two.cluster.heartbeat({ draining: false });
  expect((await two.getMachine({ machineId: 'dm-one' }))?.phase).toBe('sleeping');
  expect(await connect(two, 'runner-2')).toMatchObject({ outcome: 'applied' });
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject({ outcome: 'reaped' });
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject({ outcome: 'alive' });
  expect(one.cluster.replicaId).not.toBe(before);
  expect(await one.cluster.connectionsHeld()).toEqual([]);
});

test('two servers never share an id, although a database that lost commits gives ids out again', async () => {
  const { one, two, postgres: database, url } = await twoServers();
  // The database forgets both, as a standby without their commits does, and the ids begin again at that of the first.
  await database.query('UPDATE machines SET owner = NULL', url);
  await database.query('DELETE FROM replicas', url);
  await database.query(`ALTER TABLE replicas ALTER COLUMN id RESTART WITH ${one.cluster.replicaId}`, url);
  expect(await two.cluster.heartbeat({ draining: false })).toMatchObject({ outcome: 'reaped' });
  expect(two.cluster.replicaId).toBe(one.cluster.replicaId);
  expect(await one.cluster.heartbeat({ draining: false })).toMatchObject({ outcome: 'reaped' });
  expect(await two.cluster.heartbeat({ draining: false })).toMatchObject({ outcome: 'alive' });
  expect(one.cluster.replicaId).not.toBe(two.cluster.replicaId);
});

test('a server whose clock is hours off frees the machines of a dead one at the time of the database', async () => {
  const { one, two, postgres: database, url } = await twoServers();
  const asked = Date.now();
  vi.useFakeTimers({ toFake: ['Date'], now: asked - 3 * 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  const text = `UPDATE replicas SET heartbeat_at = clock_timestamp() - interval '1 hour' WHERE id = ${one.cluster.replicaId}`;
  await database.query(text, url);
  const { clockOffsetMs } = await two.cluster.heartbeat({ draining: false });
  expect(Math.abs(performance.now() + clockOffsetMs - asked)).toBeLessThan(600_000);
  const freed = await two.getMachine({ machineId: 'dm-one' });
  expect(freed?.phase).toBe('sleeping');
  expect(Math.abs((freed?.awaySince ?? 0) - asked)).toBeLessThan(600_000);
  const [row] = await database.query<{ tick: string }>('SELECT last_tick AS tick FROM cluster', url);
  expect(Math.abs(Number(row?.tick) - asked)).toBeLessThan(600_000);
});

test('a server with another secret key is told so (fault 60)', async () => {
  const { one, two } = await twoServers();
  expect(await one.cluster.claimKey({ fingerprint: Buffer.alloc(32, 1) })).toBe(true);
  expect(await two.cluster.claimKey({ fingerprint: Buffer.alloc(32, 1) })).toBe(true);
  expect(await two.cluster.claimKey({ fingerprint: Buffer.alloc(32, 2) })).toBe(false);
});

test('a duty is done by one server per interval, whichever asks first', async () => {
  const { one, two, postgres: database, url } = await twoServers();
  const ask = (store: typeof one, name = 'housekeeping') => store.cluster.takeDuty({ name, intervalMs: 3_600_000 });
  const taken = await Promise.all([ask(one), ask(two), ask(one), ask(two)]);
  expect(taken.filter((mine) => mine)).toHaveLength(1);
  expect(await ask(two, 'another')).toBe(true);
  await database.query("UPDATE duties SET due_at = 0 WHERE name = 'housekeeping'", url);
  expect(await ask(two)).toBe(true);
  expect(await ask(one)).toBe(false);
});

test('the connections of all servers are counted', async () => {
  const { one, two } = await twoServers();
  expect([await one.cluster.countConnections(), await two.cluster.countConnections()]).toEqual([1, 1]);
});
