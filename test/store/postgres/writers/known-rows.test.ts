/** Rows that a writer decides on without reading them again: a change of another writer is never missed. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Connection } from '../../../../src/store/postgres/connections/connection.ts';
import { StatementGroup } from '../../../../src/store/postgres/connections/statement-group.ts';
import { openPostgresStore } from '../../../../src/store/postgres/store.ts';
import { Batch } from '../../../../src/store/postgres/writers/batch.ts';
import { KnownRows } from '../../../../src/store/postgres/writers/known-rows.ts';
import { load } from '../../../../src/store/postgres/writers/load.ts';
import type { Needs } from '../../../../src/store/postgres/writers/needs.ts';
import type { Store } from '../../../../src/store/store.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';
import { Bench, ended, MACHINE, RUNNER, record, T0 } from '../../contract/fixture.ts';

let postgres: TestPostgres;
let url = '';
let store: Store;
let bench: Bench;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  url = await postgres.schema();
  store = await openPostgresStore({ url, version: 'test', now: () => T0 });
  bench = new Bench(store);
  await bench.connect();
  // From now on the machine is known, and keys for new executions are left.
  await bench.dispatched();
});
afterEach(() => store.close());

const query = <Row extends object>(text: string) => postgres.query<Row>(text, url);

describe('a change of another writer', () => {
  test('to a machine is seen by the next create', async () => {
    await query("UPDATE machines SET desired_state = 'destroyed'");
    expect(await store.createExecution(bench.request({ dispatchTo: RUNNER }))).toEqual({ outcome: 'machine_removed' });
  });

  test('to a machine is seen by a create that is refused as well', async () => {
    await query('UPDATE machines SET waiting = 5');
    const refused = bench.request({ queueLimit: 5 });
    expect(await store.createExecution(refused)).toEqual({ outcome: 'queue_full' });
    await query('UPDATE machines SET waiting = 0');
    expect(await store.createExecution(refused)).toMatchObject({ outcome: 'created' });
  });

  test('to an execution is seen by its next report', async () => {
    const { executionId } = await bench.dispatched();
    await bench.report([record(executionId, 1, 'started')]);
    await query(`UPDATE executions SET status = 'cancelled', completed_at = ${T0} WHERE public_id = '${executionId}'`);
    expect(await bench.report([record(executionId, 2, 'ended', ended())])).toMatchObject({ outcome: 'terminal' });
    expect(await bench.get(executionId)).toMatchObject({ status: 'cancelled' });
  });

  test('to an execution is seen by a report that it has already', async () => {
    const { executionId } = await bench.dispatched();
    await bench.report([record(executionId, 1, 'started')]);
    expect(await bench.report([record(executionId, 1, 'started')])).toMatchObject({ outcome: 'duplicate' });
    await query(`UPDATE executions SET reported = 0, status = 'queued' WHERE public_id = '${executionId}'`);
    expect(await bench.report([record(executionId, 1, 'started')])).toMatchObject({ outcome: 'applied' });
  });

  test('to some of many executions is seen in a batch', async () => {
    const executions = await Promise.all(Array.from({ length: 40 }, () => bench.dispatched()));
    const ids = executions.map(({ executionId }) => executionId);
    await query(`UPDATE executions SET status = 'failed', completed_at = ${T0} WHERE public_id = '${ids[20]}'`);
    const reports = await Promise.all(ids.map((id) => bench.report([record(id, 1, 'started')])));
    expect(reports.map(({ outcome }) => outcome)).toEqual(
      ids.map((_, index) => (index === 20 ? 'terminal' : 'applied')),
    );
  });
});

test('keys of executions rise in the order of their creation, whichever server creates them', async () => {
  const other = new Bench(await openPostgresStore({ url, version: 'test', now: () => T0 }));
  const created: string[] = [];
  const create = async (by: Bench, executionId: string, machineId = MACHINE) => {
    await by.create({ executionId, machineId });
    created.push(executionId);
  };
  try {
    await other.store.createMachine({ machineId: 'dm-other', now: T0 });
    for (const round of [1, 2, 3]) {
      await create(bench, `ours-${round}`);
      await create(other, `theirs-${round}`);
      await create(other, `on-other-${round}`, 'dm-other');
      await create(bench, `ours-on-other-${round}`, 'dm-other');
    }
  } finally {
    await other.store.close();
  }
  const rows = await query<{ name: string }>('SELECT public_id AS name FROM executions ORDER BY machine_id, id');
  const ids = rows.map(({ name }) => name).filter((name) => created.includes(name));
  const onOther = (id: string) => id.includes('on-other');
  expect(ids).toEqual([...created.filter((id) => !onOther(id)), ...created.filter(onOther)]);
});

test('an audit entry needs no rows, and leaves those that are known to the writes beside and after it', async () => {
  const sent: string[] = [];
  const send = pg.Client.prototype.query as (this: pg.Client, ...parameters: unknown[]) => unknown;
  vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...parameters: unknown[]) {
    const [group] = parameters;
    if (group instanceof StatementGroup) sent.push(...group.statements.map(({ name = '' }) => name));
    return send.apply(this, parameters);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const entry = { at: T0, actor: 'admin', source: '', action: 'execution.create', resource: 'x', outcome: '200' };
  await store.appendAudit({ entry });
  await bench.dispatched();
  await Promise.all([bench.dispatched(), store.appendAudit({ entry, withinMs: 0 }), bench.dispatched()]);
  expect(sent).toContain('append-audit');
  expect(sent).toContain('insert-executions-1');
  expect(sent).not.toContain('lock-machines');
});

describe('the rows that are known', () => {
  const needs = { executions: ['exec-known'], reuses: true } as const satisfies Needs;
  const creates = { machines: [MACHINE], creates: 'execution', reuses: true } as const satisfies Needs;
  const connection = { query: async () => [] } as unknown as Connection;

  async function committed(known: KnownRows, on = connection): Promise<void> {
    expect(known.take(on, [needs])).toBeUndefined();
    const batch = new Batch(await load(on, []));
    const { record: change } = await stored();
    batch.executions.set('exec-known', { ...change, changed: true, releases: false });
    known.keep(on, { transactionId: '4711', batch, freshKeys: [7, 8] });
  }

  async function stored() {
    const execution = { ...(await bench.dispatched()), executionId: 'exec-known' };
    const kept = { stdout: 0, stderr: 0 };
    const row = { key: 1, machineKey: 1, execution, kept, released: kept, lastEventAt: T0, queuedBytes: 0 };
    return { record: { record: row, entries: [], streamed: [], tails: [], ended: false } };
  }

  test('are given to one batch, with the transaction that wrote them, and to none after that', async () => {
    const known = new KnownRows();
    await committed(known);
    expect(known.take(connection, [needs])).toMatchObject({ executions: [{ writtenBy: 4711n }], machines: [] });
    expect(known.take(connection, [needs])).toBeUndefined();
  });

  test('are not given if the batch needs others too, or has not enough keys', async () => {
    const known = new KnownRows();
    await committed(known);
    expect(known.take(connection, [needs, creates])).toBeUndefined();
    expect(known.freshKeyCount).toBe(0);
    await committed(known);
    expect(known.take(connection, [needs, { executions: [] }])).toBeUndefined();
  });

  test('are forgotten with the connection, and for some batches after a change was met', async () => {
    const known = new KnownRows();
    await committed(known);
    expect(known.take({ ...connection }, [needs])).toBeUndefined();
    await committed(known);
    known.pause();
    expect(known.take(connection, [needs])).toBeUndefined();
  });
});
