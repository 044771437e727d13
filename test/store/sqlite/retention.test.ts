/** Retention beside creates: none of its steps holds one up, and the file and its log become small again. */
import { statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startHousekeeping } from '../../../src/server/housekeeping.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { until } from '../../helpers/processes.ts';
import { connectMachine, createExecution, end, useDatabasePath } from './place.ts';

const MIB = 1024 * 1024;
const path = useDatabasePath();

/** One that printed `chunks` of `bytes` each; what a command may print within the cap. */
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

it('a step of it takes a few ms, whatever there is to delete, and the file shrinks', async () => {
  const commits: number[] = [];
  const store = openSqliteStore({ path: path(), onCommit: ({ durationMs }) => commits.push(durationMs) });
  await connectMachine(store);
  // The two ways of being large: bytes, and events.
  await finished(store, 'large', 512, 65_536);
  await finished(store, 'chatty', 5000, 2);
  for (let n = 0; n < 100; n++) await finished(store, `small-${n}`, 1, 6);
  expect((await store.size()).usedBytes).toBeGreaterThan(32 * MIB);
  commits.length = 0;
  const logger = { info: () => {}, warn: () => {} };
  const housekeeping = startHousekeeping({ store, logger, now: () => 10, retentionDays: 0, maxDatabaseBytes: MIB });
  let created = 0;
  const waits: number[] = [];
  await until('all of it is gone', async () => {
    const from = performance.now();
    await createExecution(store, `new-${created++}`);
    waits.push(performance.now() - from);
    const { usedBytes, freeBytes } = await store.size();
    return usedBytes + freeBytes < 2 * MIB;
  });
  await housekeeping.stop();
  // The limit is 50 ms; the median is taken because a machine that is shared holds up anybody now and then.
  expect(waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)]).toBeLessThan(50);
  expect(commits.sort((a, b) => a - b)[Math.floor(commits.length * 0.9)]).toBeLessThan(50);
  await store.close();
  expect(statSync(path()).size).toBeLessThan(3 * MIB);
}, 120_000);

it('the write-ahead log is cut back after a burst', async () => {
  const store = openSqliteStore({ path: path() });
  await connectMachine(store);
  for (let n = 0; n < 3; n++) await finished(store, `large-${n}`, 512, 65_536);
  await store.checkWritable();
  expect(statSync(`${path()}-wal`).size).toBeLessThan(64 * MIB);
  await store.close();
});
