/** A database that has lost commits: executions that are waiting there can have been started, and must not be started again. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openPostgresStore } from '../../../src/store/postgres/store.ts';
import type { Execution, Store } from '../../../src/store/store.ts';
import { TestPostgres } from '../../helpers/postgres.ts';
import { Bench, FACTS, MACHINE, record, RUNNER, T0 } from '../contract/fixture.ts';

let postgres: TestPostgres | undefined;
let url = '';
let store: Store;
let bench: Bench;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  url = (await postgres?.schema()) ?? '';
  store = await openPostgresStore({ url, version: 'test', now: () => T0 });
  bench = new Bench(store);
  await bench.connect();
});
afterEach(() => store.close());

async function query(text: string): Promise<void> {
  await postgres?.query(text, url);
}

/** Undoes the dispatch in the database, as if the commit had never reached the disk. */
async function loseDispatch({ executionId }: Execution): Promise<void> {
  await query(`UPDATE executions SET dispatched_to = NULL, dispatch_number = NULL WHERE public_id = '${executionId}'`);
  await query('UPDATE machines SET waiting = waiting + 1, last_dispatch_number = last_dispatch_number - 1');
}

/** Gives the database another history, like a restore or a standby that took over. */
async function beginHistory(): Promise<void> {
  await query("UPDATE machines SET history = 'another'");
  await query(`UPDATE cluster SET history_since = ${T0}`);
}

const hello = (p: Partial<Parameters<Store['machineConnected']>[0]> = {}) =>
  store.machineConnected({
    machineId: MACHINE,
    runnerInstance: RUNNER,
    bootId: 'boot',
    facts: FACTS,
    now: T0 + 5,
    ...p,
  });

async function claimAll() {
  const [row] = (await postgres?.query<{ epoch: string }>('SELECT epoch FROM machines', url)) ?? [];
  const claimed = await store.claimQueued({ machineId: MACHINE, epoch: Number(row?.epoch), limit: 9, now: T0 + 6 });
  return claimed.outcome === 'applied' ? claimed.dispatches.map(({ execution }) => execution.executionId) : undefined;
}

test('a dispatch number that the machine does not know ends waiting executions: their dispatch may be lost', async () => {
  const started = await bench.dispatched();
  await loseDispatch(started);
  const { executionId } = started;
  expect(await hello({ lastDispatchNumber: 1 })).toMatchObject({ outcome: 'applied', ended: [{ executionId }] });
  expect(await bench.get(executionId)).toMatchObject({ status: 'failed', errorCode: 'agent_lost' });
  expect(await claimAll()).toEqual([]);
  const next = await bench.create();
  expect(await claimAll()).toEqual([next.executionId]);
  expect((await bench.get(next.executionId)).dispatchNumber).toBe(2);
});

test('an execution that the agent holds although it waits in the database is ended, whatever the numbers are', async () => {
  const started = await bench.dispatched();
  await loseDispatch(started);
  const other = await bench.create();
  await query('UPDATE machines SET last_dispatch_number = 1');
  const { executionId } = started;
  expect(await hello({ lastDispatchNumber: 1, held: [executionId, 'exec-lost-whole'] })).toMatchObject({
    ended: [{ executionId }],
  });
  expect(await claimAll()).toEqual([other.executionId]);
  const report = await bench.report([record(executionId, 1, 'started')]);
  expect(report.outcome).toBe('terminal');
});

test('a new instance after the database changed its history ends the executions that waited then, only those, and once', async () => {
  const started = await bench.dispatched();
  await loseDispatch(started);
  await beginHistory();
  const later = await bench.create({ now: T0 + 1 });
  const { executionId } = started;
  expect(await hello({ runnerInstance: 'runner-2' })).toMatchObject({ ended: [{ executionId }] });
  expect(await hello({ runnerInstance: 'runner-3' })).not.toHaveProperty('ended');
  expect(await claimAll()).toEqual([later.executionId]);
});

test('executions keep waiting if nothing is in doubt: for a new instance, or the same one on another history', async () => {
  const waiting = await bench.create();
  expect(await hello({ runnerInstance: 'runner-2' })).not.toHaveProperty('ended');
  await beginHistory();
  expect(await hello({ runnerInstance: 'runner-2', lastDispatchNumber: 0 })).not.toHaveProperty('ended');
  expect(await claimAll()).toEqual([waiting.executionId]);
});

test('servers notice that the database has another history, and since when', async () => {
  await query("UPDATE cluster SET history = 'another'");
  await store.cluster?.heartbeat({ draining: false });
  const [row] =
    (await postgres?.query<{ history: string; since: string }>(
      'SELECT history, history_since AS since FROM cluster',
      url,
    )) ?? [];
  expect(row).toEqual({ history: expect.stringMatching(/^\d+\/[0-9A-F]{8}$/), since: String(T0) });
});
