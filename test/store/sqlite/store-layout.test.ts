/** Properties that keep the store fast with millions of rows: all queries use an index, all counts are stored. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../../src/store/sqlite/file/database.ts';
import { buildStore } from '../../../src/store/sqlite/store.ts';
import { SPAN_KEYS } from '../../../src/store/sqlite/tables/list-keys.ts';
import type { Store } from '../../../src/store/store.ts';
import { connectMachine, createExecution, end, useDatabasePath } from './place.ts';

/** Tables that a query may scan. Their size is limited by the number of live executions, machines or tokens. */
const SCANS = [
  // Statistics.
  /^SCAN executions USING (COVERING )?INDEX executions_alive$/,
  // The keys of one page, as JSON.
  /^SCAN json_each VIRTUAL TABLE INDEX 1:$/,
  /^SCAN machines$/,
  /^USE TEMP B-TREE FOR GROUP BY$/,
  // Statements at the start of the server.
  /^SCAN machines USING INDEX machines_away$/,
  // A partial index of starting and waiting runs, which are few.
  /^SCAN r USING INDEX schedule_runs_open$/,
  // Statements of the removal of a machine.
  /^SCAN join_tokens$/,
  // One row, or few.
  /^SCAN (write_probe|schema_migrations|execution_keys|audit_retention)$/,
  // Subqueries with a LIMIT: the oldest entries of the audit trail, and one page of each kind of execution. Their own plans are lines too.
  /^SCAN \(subquery-\d+\)$/,
  // A SELECT without FROM.
  /^SCAN CONSTANT ROW$/,
];

describe('the layout', () => {
  const path = useDatabasePath();

  it('uses an index wherever the number of rows is not bounded', async () => {
    const db = openDatabase(path());
    const statements = recordStatements(db);
    const store = buildStore(db, { now: 0 });
    const scans = [...statements]
      .filter((sql) => /^(SELECT|UPDATE|DELETE)/.test(sql))
      .flatMap((sql) => plan(db, sql).map((detail) => ({ sql, detail })))
      .filter(({ detail }) => /^(SCAN|USE TEMP B-TREE)/.test(detail) && !SCANS.some((allowed) => allowed.test(detail)));
    expect(statements.size).toBeGreaterThan(60);
    expect(scans).toEqual([]);
    await store.close();
  });

  it('has the number of waiting executions of a machine and what lists search by, whatever happened', async () => {
    const db = openDatabase(path());
    const store = buildStore(db, { now: 0 });
    await connectMachine(store);
    const drift = db.prepare(
      `SELECT m.public_id, m.waiting, count(e.id) AS counted FROM machines m
       LEFT JOIN executions e ON e.machine_id = m.id AND e.dispatched_to IS NULL AND e.completed_at IS NULL
       GROUP BY m.id HAVING waiting <> counted`,
    );
    const missed = db.prepare(
      `SELECT e.id FROM executions e JOIN machines m ON m.id = e.machine_id WHERE m.newest_execution IS NULL OR m.newest_execution < e.id
       OR (e.status = 'succeeded' AND e.id / ${SPAN_KEYS} NOT IN (SELECT span FROM succeeded_spans))`,
    );
    const overslept = db.prepare(
      `SELECT e.id FROM executions e JOIN machines m ON m.id = e.machine_id WHERE e.dispatched_to IS NULL AND e.completed_at IS NULL
       AND (m.next_expiry IS NULL OR m.next_expiry > e.expires_at)`,
    );
    const emptySpans = db.prepare(
      `SELECT span FROM succeeded_spans WHERE span NOT IN (SELECT id / ${SPAN_KEYS} FROM executions)`,
    );
    let made = 0;
    const connection = { epoch: 1 };
    const action = fc.constantFrom(...Object.keys(actions(store, connection, () => '')));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(action, fc.nat()), { maxLength: 40 }), async (steps) => {
        for (const [name, choice] of steps) {
          made += name.startsWith('create') ? 1 : 0;
          const pick = () => (name.startsWith('create') ? `e${made}` : `e${choice % (made + 1)}`);
          await actions(store, connection, pick)[name]?.();
          expect([...drift.all(), ...missed.all(), ...overslept.all(), ...emptySpans.all()]).toEqual([]);
        }
      }),
      { numRuns: 30 },
    );
    await store.changeMachine({
      machineId: 'dm-one',
      request: { type: 'remove', force: false },
      capabilities: new Map(),
      now: 9,
    });
    expect(drift.all()).toEqual([]);
    await store.close();
  }, 60_000);

  it('deletes a bounded amount of output at a time', async () => {
    const db = openDatabase(path());
    const store = buildStore(db, { now: 0 });
    await connectMachine(store);
    for (const executionId of ['a', 'b', 'c']) {
      await createExecution(store, executionId);
      const records = Array.from({ length: 96 }, (_, index) => ({
        kind: 2,
        executionId,
        number: index + 1,
        at: 1,
        payload: Buffer.alloc(65_536),
      }));
      await store.appendReports({ machineId: 'dm-one', records, clockOffsetMs: 0, now: 2 });
      await end(store, executionId, 97);
    }
    const remove = () => store.deleteFinished({ before: 1000, limit: 100 });
    expect([await remove(), await remove(), await remove(), await remove()]).toEqual([1, 1, 1, 0]);
    const chunks = db.prepare<[], number>('SELECT count(*) FROM chunks').pluck();
    const steps = [chunks.get() ?? 0];
    while (await store.maintain({ maxBytes: 0 })) steps.push(chunks.get() ?? 0);
    const most = Math.max(...steps.slice(1).map((left, index) => (steps[index] ?? 0) - left));
    expect(most).toBeLessThanOrEqual(33);
    expect(steps.at(-1)).toBe(0);
    expect(db.prepare('SELECT count(*) FROM events').pluck().get()).toBe(0);
    await store.close();
  }, 60_000);
});

/** Every operation that moves an execution into or out of waiting. */
function actions(
  store: Store,
  connection: { epoch: number },
  pick: () => string,
): Record<string, () => Promise<unknown>> {
  const machineId = 'dm-one';
  const facts = { vcpu: 1, memory_mib: 1, storage_gib: 1 };
  return {
    create: () => createExecution(store, pick(), { dispatch: false }),
    createDispatched: () => createExecution(store, pick(), connection),
    claim: () => store.claimQueued({ machineId, epoch: connection.epoch, limit: 2, now: 2 }),
    cancel: () => store.requestCancel({ machineId, executionId: pick(), by: 'admin', now: 2 }),
    end: () => end(store, pick()),
    lose: () => store.markLost({ machineId, epoch: connection.epoch, executionIds: [pick()], reason: 'test', now: 2 }),
    expire: () => store.expireDue({ now: 1000, limit: 2 }),
    leave: () => store.machineDisconnected({ machineId, epoch: connection.epoch, now: 2 }),
    return: async () => {
      const agent = { runnerInstance: 'runner', bootId: 'b', facts };
      const connected = await store.machineConnected({ machineId, ...agent, now: 2 });
      if (connected.outcome === 'applied') connection.epoch = connected.epoch;
    },
    wake: () => store.wakeWaiting({ machineId, epoch: connection.epoch, limit: 2, now: 2 }),
    forget: () => store.deleteFinished({ before: 5, limit: 1 }),
  };
}

/** Records all statements that are prepared on `db` from now on. */
function recordStatements(db: Database): Set<string> {
  const statements = new Set<string>();
  const prepare = db.prepare.bind(db);
  Object.defineProperty(db, 'prepare', {
    value: (sql: string) => {
      statements.add(sql.trim());
      return prepare(sql);
    },
  });
  return statements;
}

function plan(db: Database, sql: string): string[] {
  const names = [...sql.matchAll(/[$@](\w+)/g)].map(([, name]) => [name, null]);
  const positions = Array.from(sql.matchAll(/\?/g), () => null);
  const explain = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
  const rows = names.length > 0 ? explain.all(Object.fromEntries(names)) : explain.all(...positions);
  return rows.map(({ detail }) => detail);
}
