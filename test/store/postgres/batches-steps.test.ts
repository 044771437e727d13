/** A step of a batch reads the machines that have changed and those that come next, however many machines the batch has. */
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { type Statement, StatementGroup } from '../../../src/store/postgres/connections/statement-group.ts';
import type { Store } from '../../../src/store/store.ts';
import { Bench, T0 } from '../contract/fixture.ts';
import { rowsTouchedBy } from './rows-touched.ts';
import { useSchemas } from './schemas.ts';

const BATCH = 'batch-1';
const MACHINES = 5000;
const RUNNING = 40;
/** Machines that a step for one execution may read: those with this execution and the next one, and a few that a join looks at. */
const MAX_TOUCHED = 10;

const schemas = useSchemas();
const query = pg.Client.prototype.query as (this: pg.Client, ...parameters: unknown[]) => unknown;

afterEach(() => void Object.assign(pg.Client.prototype, { query }));

/** A batch with unfinished executions on its first machines, none on the others. */
async function startedBatch(bench: Bench): Promise<string[]> {
  const { store } = bench;
  await schemas.query(`INSERT INTO machines (public_id, created_at, phase, last_transition_at, last_progress_at)
    SELECT 'dm-' || i, 1, 'sleeping', 1, 1 FROM generate_series(0, ${MACHINES - 1}) i`);
  const machineIds = Array.from({ length: MACHINES }, (_, at) => `dm-${at}`);
  const batch = {
    batchId: BATCH,
    machineIds,
    sealedRequest: Buffer.from('s'),
    createdBy: 'admin',
    maxConcurrency: RUNNING,
  };
  await store.createBatch({ batch, now: T0 });
  const { next = [] } = (await store.advanceBatch({ batchId: BATCH, now: T0 })) ?? {};
  const executions = next.map(async ({ position, machineId }) => {
    const { executionId } = await bench.create({ machineId });
    await store.setBatchMember({ batchId: BATCH, position, result: { executionId } });
    return executionId;
  });
  const made = await Promise.all(executions);
  await store.advanceBatch({ batchId: BATCH, now: T0 });
  await schemas.query('ANALYZE');
  return made;
}

/** The statements of one step. They are recorded, and not run again. */
async function statementsOf(step: () => Promise<unknown>): Promise<Statement[]> {
  const sent: Statement[] = [];
  pg.Client.prototype.query = function (this: pg.Client, ...parameters: unknown[]) {
    if (parameters[0] instanceof StatementGroup) sent.push(...parameters[0].statements);
    return query.apply(this, parameters);
  } as typeof pg.Client.prototype.query;
  await step();
  Object.assign(pg.Client.prototype, { query });
  return sent.filter(({ text }) => /batch_members/.test(text));
}

/** Runs statements in a transaction that is rolled back. Returns the number of machines of the batch that they read. */
async function touchedBy(statements: readonly Statement[]): Promise<number> {
  const explainer = new pg.Client({ connectionString: schemas.url });
  await explainer.connect();
  let touched = 0;
  await explainer.query('BEGIN');
  for (const statement of statements) touched += await rowsTouchedBy(explainer, statement, 'batch_members');
  await explainer.query('ROLLBACK');
  await explainer.end();
  return touched;
}

const step = (store: Store, among?: string[]) =>
  store.advanceBatch({ batchId: BATCH, now: T0, ...(among === undefined ? {} : { among }) });

it('reads no machine that has not changed, of 5,000', async () => {
  const bench = new Bench(await schemas.open());
  const [first = '', second = ''] = await startedBatch(bench);
  const cancel = (machineId: string, executionId: string) =>
    bench.store.requestCancel({ machineId, executionId, by: 'admin', now: T0 });
  await cancel('dm-0', first);
  const statements = await statementsOf(() => step(bench.store, [first]));
  expect(statements.length).toBeGreaterThanOrEqual(3);
  // The statements run again, for the next machine.
  await cancel('dm-1', second);
  const again = statements.map(({ text, values = [] }) => ({
    text,
    values: values.map((value) => (Array.isArray(value) ? [second] : value)),
  }));
  const touched = await touchedBy(again);
  expect(touched).toBeGreaterThan(0);
  expect(touched).toBeLessThan(MAX_TOUCHED);
});

it('reads each unfinished execution, and no other machine, if any may have ended', async () => {
  const bench = new Bench(await schemas.open());
  await startedBatch(bench);
  const touched = await touchedBy(await statementsOf(() => step(bench.store)));
  expect(touched).toBeGreaterThanOrEqual(RUNNING);
  // When they are taken in, and when they are listed.
  expect(touched).toBeLessThanOrEqual(RUNNING * 2);
});

it('shows a batch without reading each machine', async () => {
  const bench = new Bench(await schemas.open());
  await startedBatch(bench);
  const touched = await touchedBy(await statementsOf(() => bench.store.listBatches({ limit: 10 })));
  // By status, and for its command.
  expect(touched).toBeLessThanOrEqual(RUNNING + 100);
});
