/** Retention during creates: no step delays a create, and the file and its log shrink again. */
import { statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startHousekeeping } from '../../../src/server/operations/housekeeping.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { until } from '../../helpers/processes.ts';
import { connectMachine, createExecution, end, useDatabasePath } from './place.ts';

const MIB = 1024 * 1024;
const path = useDatabasePath();

/** Creates an execution with `chunks` chunks of `bytes` bytes each. */
async function finished(store: Store, executionId: string, chunks: number, bytes: number): Promise<void> {
  await createExecution(store, executionId);
  const records = Array.from({ length: chunks }, (_, index) => ({
    kind: 2,
    executionId,
    number: index + 1,
    at: 1,
    payload: Buffer.alloc(bytes, 'x'),
  }));
  await store.appendReports({ machineId: 'dm-one', records, clockOffsetMs: 0, now: 2 });
  await end(store, executionId, chunks + 1);
}

/** Adds the bytes that each step of `step` removes, by `measured`, to `taken`. */
function watched<A extends unknown[], R>(
  step: (...args: A) => Promise<R>,
  measured: () => Promise<number>,
  taken: number[],
) {
  return async (...args: A): Promise<R> => {
    const before = await measured();
    const result = await step(...args);
    taken.push(before - (await measured()));
    return result;
  };
}

// `bench -- retention` measures the time of a step. This test checks the limit for the work of each step.
it('a step of deletion is small, however much there is to delete; creates continue meanwhile, and the file shrinks', async () => {
  const store = openSqliteStore({ path: path() });
  await connectMachine(store);
  // Two types of large executions: with many bytes, and with many events.
  await finished(store, 'large', 512, 65_536);
  await finished(store, 'chatty', 5000, 2);
  for (let n = 0; n < 100; n++) await finished(store, `small-${n}`, 1, 6);
  const used = store.usedBytes;
  const all = async () => statSync(path()).size;
  expect(await used()).toBeGreaterThan(32 * MIB);
  const deleted: number[] = [];
  const cleared: number[] = [];
  const shrunk: number[] = [];
  const steps = {
    ...store,
    deleteFinished: watched(store.deleteFinished, used, deleted),
    maintain: watched(watched(store.maintain, used, cleared), all, shrunk),
  };
  const logger = { info: () => {}, warn: () => {} };
  const housekeeping = startHousekeeping({
    store: steps,
    logger,
    now: () => 10,
    retentionDays: 0,
    maxDatabaseBytes: MIB,
  });
  let created = 0;
  await until('all of it is gone', async () => {
    await createExecution(store, `new-${created++}`);
    return (await all()) < 2 * MIB;
  });
  await housekeeping.stop();
  // 2 MiB of output or 500 events, with their pages; and 256 pages of 8 KiB, with the pages that map them.
  for (const taken of [deleted, cleared, shrunk]) expect(Math.max(...taken)).toBeLessThan(3 * MIB);
  expect(cleared.length).toBeGreaterThan(512 / 33);
  expect(shrunk.length).toBeGreaterThan(32 / 3);
  await store.close();
  expect(statSync(path()).size).toBeLessThan(3 * MIB);
}, 120_000);

it('the write-ahead log is truncated after a burst', async () => {
  const store = openSqliteStore({ path: path() });
  await connectMachine(store);
  for (let n = 0; n < 3; n++) await finished(store, `large-${n}`, 512, 65_536);
  await store.checkWritable();
  expect(statSync(`${path()}-wal`).size).toBeLessThan(64 * MIB);
  await store.close();
});
