/** The cost of an execution on disk: the numbers of commits and of pages in the log. They do not depend on the load of the machine. */
import { statSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { REPORT_KIND } from '../../../src/core/report.ts';
import { type Database, openDatabase } from '../../../src/store/sqlite/file/database.ts';
import { buildStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { connectMachine, createExecution, end, useDatabasePath } from './place.ts';

const EXECUTIONS = 200;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const path = useDatabasePath();
afterEach(() => void vi.restoreAllMocks());

interface Place {
  db: Database;
  store: Store;
  /** The pages since the last call, for each of `EXECUTIONS`. */
  spent(): { pages: number; kilobytes: number; commits: number };
}

async function prepare(): Promise<Place> {
  const db = openDatabase(path());
  // Without checkpoints the log only grows.
  db.pragma('wal_autocheckpoint = 0');
  let commits = 0;
  const store = buildStore(db, {
    now: 0,
    onCommit: () => {
      commits += 1;
    },
  });
  await connectMachine(store);
  let before = { bytes: 0, commits: 0 };
  const spent: Place['spent'] = () => {
    const bytes = statSync(`${path()}-wal`).size - WAL_HEADER_BYTES;
    const pageBytes = (db.pragma('page_size', { simple: true }) as number) + FRAME_HEADER_BYTES;
    const used = { bytes: bytes - before.bytes, commits: commits - before.commits };
    before = { bytes, commits };
    return {
      pages: used.bytes / pageBytes / EXECUTIONS,
      kilobytes: used.bytes / 1000 / EXECUTIONS,
      commits: used.commits / EXECUTIONS,
    };
  };
  return { db, store, spent };
}

async function eachExecution(work: (executionId: string) => Promise<unknown>): Promise<void> {
  for (let n = 0; n < EXECUTIONS; n++) await work(`ex-${1000 + n}`);
}

it('a create writes at most six pages, whether it is dispatched at once or waits', async () => {
  const { store, spent } = await prepare();
  spent();
  await eachExecution((executionId) => createExecution(store, executionId));
  expect(spent().pages).toBeLessThanOrEqual(6);
  await eachExecution((executionId) => createExecution(store, `waits-${executionId}`, { dispatch: false }));
  // About every 20 rows, new pages and their parents in the tree are added.
  expect(spent().pages).toBeLessThanOrEqual(7);
  await store.close();
});

it('an execution of a short command takes two commits and 50 KB of log, with its audit entry', async () => {
  const { store, spent } = await prepare();
  // An execution takes 10 ms, and the audit entries of 50 ms are written together.
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
  spent();
  const audits: Promise<void>[] = [];
  await eachExecution(async (executionId) => {
    await createExecution(store, executionId);
    const entry = { at: 1, actor: 'admin', source: 'test', action: 'execution.create', outcome: 'ok' };
    audits.push(
      store.appendAudit({ entry: { ...entry, machineId: 'dm-one', resource: executionId }, withinMs: 100_000 }),
    );
    clock.mockReturnValue(performance.now() + 10_000);
    const reports = [
      { kind: REPORT_KIND.started, payload: '{"pid":4711}' },
      { kind: REPORT_KIND.ended, payload: '{"status":"succeeded","exit_code":0}' },
    ];
    const records = reports.map(({ kind, payload }, index) => {
      return { kind, executionId, number: index + 1, at: 1, payload: Buffer.from(payload) };
    });
    await store.appendReports({ machineId: 'dm-one', records, clockOffsetMs: 0, now: 2 });
  });
  const { commits, kilobytes } = spent();
  expect(commits).toBe(2);
  expect(kilobytes).toBeLessThanOrEqual(50);
  await store.close();
  await Promise.all(audits);
});

it('no key is given out again, even if the newest execution is deleted', async () => {
  const { db, store } = await prepare();
  const key = db.prepare<[string], number>('SELECT id FROM executions WHERE public_id = ?').pluck();
  await createExecution(store, 'first');
  const first = key.get('first') ?? 0;
  await end(store, 'first');
  expect(await store.deleteFinished({ before: 1000, limit: 10 })).toBe(1);
  await createExecution(store, 'second');
  expect(key.get('second')).toBeGreaterThan(first);
  const events = await store.listEvents({ executionId: 'second', afterSequence: 0, limit: 10, maxBytes: 1000 });
  expect(events).toMatchObject([{ sequence: 1, status: 'queued' }]);
  await store.close();
});
