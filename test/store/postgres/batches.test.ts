/** Batches on several servers: one server at a time advances each batch, and each execution is created once. */
import { describe, expect, it } from 'vitest';
import type { Store } from '../../../src/store/store.ts';
import { Bench, MACHINE, T0 } from '../contract/fixture.ts';
import { useSchemas } from './schemas.ts';

const schemas = useSchemas();

describe('a batch', () => {
  const BATCH = 'batch-1';
  const create = (store: Store) =>
    store.createBatch({
      batch: {
        ...{ batchId: BATCH, machineIds: [MACHINE], sealedRequest: Buffer.from('s'), createdBy: 'admin' },
        maxConcurrency: 1,
      },
      now: T0,
    });
  const advance = (store: Store) => store.advanceBatch({ batchId: BATCH, now: T0 });

  it('is advanced by one server, and by another once that has stopped', async () => {
    const [first, second] = [await schemas.open(), await schemas.open()];
    await first.createMachine({ machineId: MACHINE, now: T0 });
    await create(first);
    expect(await first.listRunningBatches()).toEqual([BATCH]);
    expect(await second.listRunningBatches()).toEqual([]);
    expect(await second.advanceBatch({ batchId: BATCH, now: T0 })).toBeUndefined();
    await schemas.close(first);
    expect(await second.listRunningBatches()).toEqual([BATCH]);
    expect(await advance(second)).toMatchObject({ next: [{ machineId: MACHINE }] });
  });

  it('of a dead server is taken over, and its execution is made once whichever server tries', async () => {
    const [first, second] = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    await first.store.createMachine({ machineId: MACHINE, now: T0 });
    await create(first.store);
    const before = await advance(first.store);
    await schemas.query(
      `UPDATE replicas SET heartbeat_at = clock_timestamp() - interval '1 minute'
      WHERE id = ${first.store.cluster?.replicaId}`,
    );
    const after = await advance(second.store);
    const asked = [before, after].map((step, index) => {
      const idempotency = step?.next[0]?.idempotency;
      if (idempotency === undefined) throw new Error('nothing is to be made');
      const bench = index === 0 ? first : second;
      return bench.store.createExecution({ ...bench.request({ executionId: `exec-b${index}` }), idempotency });
    });
    expect((await Promise.all(asked)).map(({ outcome }) => outcome).sort()).toEqual(['created', 'replayed']);
  });

  it('that an older server advances in between is counted correctly: it keeps no tally', async () => {
    const store = await schemas.open();
    const bench = new Bench(store);
    const machineIds = [MACHINE, 'dm-b', 'dm-c', 'dm-d', 'dm-e'];
    for (const machineId of machineIds) await store.createMachine({ machineId, now: T0 });
    const batch = {
      batchId: BATCH,
      machineIds,
      sealedRequest: Buffer.from('s'),
      createdBy: 'admin',
      maxConcurrency: 2,
    };
    await store.createBatch({ batch, now: T0 });
    // An older server, which has died.
    await schemas.query('UPDATE batches SET replica_id = 999');
    const set = (columns: string, position: number) =>
      schemas.query(`UPDATE batch_members SET ${columns} WHERE position = ${position}`);
    const { executionId } = await bench.create();
    await set(`execution_id = (SELECT id FROM executions WHERE public_id = '${executionId}')`, 0);
    await set("outcome = 'succeeded'", 1);
    expect(await advance(store)).toMatchObject({ next: [{ machineId: 'dm-c' }] });
    await schemas.query('UPDATE batches SET replica_id = 999');
    await set("outcome = 'failed'", 0);
    await set("outcome = 'failed'", 2);
    expect((await store.getBatch({ batchId: BATCH }))?.counts).toEqual({ succeeded: 1, failed: 2, pending: 2 });
    expect(await advance(store)).toMatchObject({ next: [{ machineId: 'dm-d' }, { machineId: 'dm-e' }] });
    // It writes late, after this server has taken the batch over.
    await set("outcome = 'succeeded'", 3);
    expect(await advance(store)).toMatchObject({ next: [{ machineId: 'dm-e' }] });
    await schemas.query(`UPDATE batches SET tally = '{"succeeded":2,"failed":2}'`);
    await store.setBatchMember({ batchId: BATCH, position: 4, result: { outcome: 'failed' } });
    expect(await advance(store)).toMatchObject({ batch: { status: 'failed' } });
    expect((await store.getBatch({ batchId: BATCH }))?.counts).toEqual({ succeeded: 2, failed: 3 });
  });

  it('that is cancelled while its execution is created records the execution, or prevents it', async () => {
    const [first, second] = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    await first.store.createMachine({ machineId: MACHINE, now: T0 });
    for (let round = 0; round < 20; round += 1) {
      const batchId = `batch-r${round}`;
      await first.store.createBatch({
        batch: {
          ...{ batchId, machineIds: [MACHINE], sealedRequest: Buffer.from('s'), createdBy: 'admin' },
          maxConcurrency: 1,
        },
        now: T0,
      });
      const [next] = (await first.store.advanceBatch({ batchId, now: T0 }))?.next ?? [];
      if (next === undefined) throw new Error('nothing is to be made');
      const request = first.request({ executionId: `exec-r${round}` });
      const [made] = await Promise.all([
        first.store.createExecution({ ...request, idempotency: next.idempotency }),
        second.store.cancelBatch({ batchId, now: T0 }),
      ]);
      const { items } = await second.store.listBatchExecutions({ batchId, limit: 9 });
      expect(items.length, made.outcome).toBe(made.outcome === 'created' ? 1 : 0);
    }
  });
});
