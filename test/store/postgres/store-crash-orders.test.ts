/** Orders between servers over a crash of PostgreSQL, which empties their table. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { ClusterStore, Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';

const FACTS = { vcpu: 2, memory_mib: 1024, storage_gib: 10 };
const ORDER = { machineId: 'dm-one', kind: 'signal', body: {} };
type ClusteredStore = Store & { cluster: ClusterStore };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start({ keepsCommits: true });
});
afterAll(() => postgres.stop());

async function open(url: string): Promise<ClusteredStore> {
  const store = await openPostgresStore({ url, version: 'test' });
  onTestFinished(() => store.close());
  if (store.cluster === undefined) throw new Error('no cluster role');
  return { ...store, cluster: store.cluster };
}

/** Returns the server that holds `dm-one`, and two that send it orders. */
async function threeServers() {
  const url = await postgres.schema();
  const [holder, one, two] = [await open(url), await open(url), await open(url)];
  await holder.createMachine({ machineId: 'dm-one', now: Date.now() });
  const runner = { runnerInstance: 'runner-1', bootId: 'boot', facts: FACTS };
  await holder.machineConnected({ machineId: 'dm-one', ...runner, now: Date.now() });
  return { holder: holder.cluster, one: one.cluster, two: two.cluster };
}

async function send(cluster: ClusterStore): Promise<number> {
  const sent = await cluster.sendOrder(ORDER);
  if (sent === undefined) throw new Error('no server holds the machine');
  return sent.orderId;
}

async function crash(): Promise<void> {
  await postgres.halt('immediate');
  await postgres.run();
}

test('an order that a crash of the database lost gets no answer, least of all that of an order after the crash', async () => {
  const { holder, one, two } = await threeServers();
  const lost = await send(one);
  await crash();
  const later = await send(two);
  expect(await holder.takeOrders({ known: [] })).toMatchObject([{ orderId: later }]);
  await holder.answerOrder({ orderId: later, answer: { outcome: 'sent' } });
  expect(await one.takeAnswers({ orderIds: [lost] })).toEqual([{ orderId: lost }]);
  expect(await two.takeAnswers({ orderIds: [later] })).toEqual([{ orderId: later, answer: { outcome: 'sent' } }]);
});

test('the answer to an order from before a crash of the database does not become that of a later order', async () => {
  const { holder, one, two } = await threeServers();
  const early = await send(one);
  expect(await holder.takeOrders({ known: [] })).toMatchObject([{ orderId: early }]);
  await crash();
  const later = await send(two);
  await holder.answerOrder({ orderId: early, answer: { outcome: 'sent' } });
  expect(await two.takeAnswers({ orderIds: [later] })).toEqual([]);
  expect(await holder.takeOrders({ known: [] })).toMatchObject([{ orderId: later }]);
});
