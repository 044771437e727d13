/** Batches: the next executions, ended ones, and the end of a batch. */
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, T0, useStore } from './fixture.ts';

const BATCH = 'batch-1';

export function describeBatches(open: OpenStore): void {
  describe('batches', () => {
    const bench = useStore(open);
    const batches = () => bench().store;
    const create = async (p: { maxConcurrency?: number; maxFailures?: number; batchId?: string } = {}) => {
      const { store } = bench();
      await store.createMachine({ machineId: 'dm-two', now: T0 });
      const batch = {
        batchId: BATCH,
        machineIds: ['dm-two', MACHINE],
        sealedRequest: Buffer.from('s'),
        createdBy: 'admin',
      };
      return batches().createBatch({ batch: { ...batch, maxConcurrency: 1, ...p }, now: T0 });
    };
    /** The next step, with the whole batch. */
    const advance = async (p: { among?: string[] } = {}) => {
      const step = await batches().advanceBatch({ batchId: BATCH, now: T0 + 5, ...p });
      const batch = await batches().getBatch({ batchId: BATCH });
      if (step === undefined || batch === undefined) throw new Error('no batch');
      expect(batch).toMatchObject(step.batch);
      return { ...step, batch };
    };
    /** Creates the waiting execution of a machine of the batch. */
    const make = async (position: number, machineId: string) => {
      const { executionId } = await bench().create({ machineId });
      await batches().setBatchMember({ batchId: BATCH, position, result: { executionId } });
      return executionId;
    };
    const cancel = (machineId: string, executionId: string) =>
      bench().store.requestCancel({ machineId, executionId, by: 'admin', now: T0 });

    it('name their machines, all of which must exist', async () => {
      expect(await create()).toMatchObject({
        outcome: 'created',
        batch: { status: 'running', counts: { pending: 2 } },
      });
      const missing = {
        batchId: 'b',
        machineIds: [MACHINE, 'dm-none'],
        sealedRequest: Buffer.from('s'),
        maxConcurrency: 1,
        createdBy: 'a',
      };
      expect(await batches().createBatch({ batch: missing, now: T0 })).toEqual({
        outcome: 'machine_not_found',
        machineIds: ['dm-none'],
      });
    });

    it('return the next machines, in order, up to the number that may run at once', async () => {
      await create();
      expect(await advance()).toMatchObject({
        next: [{ position: 0, machineId: 'dm-two' }],
        sealedRequest: Buffer.from('s'),
      });
      expect(await batches().getBatch({ batchId: BATCH })).not.toHaveProperty('command');
      const first = await make(0, 'dm-two');
      const { command } = await bench().get(first, 'dm-two');
      const { items: listed } = await batches().listBatches({ limit: 9 });
      expect(listed.map((batch) => batch.command)).toEqual([command]);
      expect(await advance()).toMatchObject({ next: [], unfinished: [{ machineId: 'dm-two', executionId: first }] });
      await cancel('dm-two', first);
      expect(await advance()).toMatchObject({
        next: [{ position: 1, machineId: MACHINE }],
        batch: { counts: { cancelled: 1, pending: 1 } },
      });
      const second = await make(1, MACHINE);
      await cancel(MACHINE, second);
      const last = await advance();
      expect(last).toMatchObject({
        batch: { status: 'failed', completedAt: T0 + 5, counts: { cancelled: 2 } },
        next: [],
      });
      expect(await advance()).not.toHaveProperty('sealedRequest');
      expect(await batches().listRunningBatches()).toEqual([]);
      const { items } = await batches().listBatchExecutions({ batchId: BATCH, limit: 9 });
      expect(items.map(({ executionId }) => executionId)).toEqual([first, second]);
    });

    it('are advanced for some executions without a look at the others', async () => {
      await create({ maxConcurrency: 1 });
      const first = await make(0, 'dm-two');
      expect(await advance({ among: [] })).toMatchObject({ next: [], unfinished: [] });
      await cancel('dm-two', first);
      expect(await advance({ among: ['exec-none'] })).toMatchObject({ next: [] });
      expect(await advance({ among: [first] })).toMatchObject({ next: [{ position: 1 }], unfinished: [] });
      await batches().setBatchMember({ batchId: BATCH, position: 1, result: { outcome: 'failed' } });
      expect(await advance({ among: [] })).toMatchObject({
        batch: { status: 'failed', counts: { cancelled: 1, failed: 1 } },
      });
    });

    it('do not take in an execution that runs', async () => {
      await create({ maxConcurrency: 2 });
      const [first, second] = [await make(0, 'dm-two'), await make(1, MACHINE)];
      await cancel('dm-two', first);
      expect(await advance({ among: [first, second] })).toMatchObject({
        batch: { status: 'running', counts: { cancelled: 1, queued: 1 } },
      });
    });

    it('count each machine in its present state, whatever has happened to it since the last step', async () => {
      await create({ maxConcurrency: 2 });
      const counts = async () => (await batches().getBatch({ batchId: BATCH }))?.counts;
      const first = await make(0, 'dm-two');
      expect(await counts()).toEqual({ wake_in_progress: 1, pending: 1 });
      await advance();
      expect(await counts()).toEqual({ wake_in_progress: 1, pending: 1 });
      await cancel('dm-two', first);
      await batches().setBatchMember({ batchId: BATCH, position: 1, result: { outcome: 'failed' } });
      expect(await counts()).toEqual({ cancelled: 1, failed: 1 });
      expect((await advance()).batch).toMatchObject({ status: 'failed', counts: { cancelled: 1, failed: 1 } });
      expect((await batches().listBatches({ limit: 1 })).items).toMatchObject([
        { counts: { cancelled: 1, failed: 1 } },
      ]);
    });

    it('cancel the rest after one failure too many', async () => {
      await create({ maxFailures: 0 });
      await batches().setBatchMember({ batchId: BATCH, position: 0, result: { outcome: 'failed' } });
      expect(await advance()).toMatchObject({
        next: [],
        batch: { status: 'failed', counts: { failed: 1, cancelled: 1 } },
      });
    });

    it('are cancelled once, and end when nothing runs any more', async () => {
      await create({ maxConcurrency: 2 });
      expect(await batches().getBatch({ batchId: BATCH })).not.toHaveProperty('command');
      const first = await make(0, 'dm-two');
      const { command } = await bench().get(first, 'dm-two');
      const { items: listed } = await batches().listBatches({ limit: 9 });
      expect(listed.map((batch) => batch.command)).toEqual([command]);
      const end = () => batches().cancelBatch({ batchId: BATCH, now: T0 });
      expect(await end()).toMatchObject({ outcome: 'applied', batch: { counts: { cancelled: 1 } } });
      expect(await end()).toMatchObject({ outcome: 'stale' });
      expect(await advance()).toMatchObject({
        cancelled: true,
        unfinished: [{ executionId: first }],
        batch: { status: 'running' },
      });
      await cancel('dm-two', first);
      expect(await advance()).toMatchObject({ batch: { status: 'cancelled' } });
      expect(await batches().cancelBatch({ batchId: 'none', now: T0 })).toEqual({ outcome: 'not_found' });
    });

    it('refuse a create that a cancel overtook, and record executions that were created meanwhile', async () => {
      await create({ maxConcurrency: 2 });
      const { next } = await advance();
      const [made, late] = next;
      if (made === undefined || late === undefined) throw new Error('two are to be made');
      const { store } = bench();
      const ask = ({ machineId, idempotency }: typeof made) =>
        store.createExecution({ ...bench().request({ machineId }), idempotency });
      const first = await ask(made);
      if (first.outcome !== 'created') throw new Error(first.outcome);
      await store.cancelBatch({ batchId: BATCH, now: T0 });
      expect(await ask(late)).toEqual({ outcome: 'replayed', resource: '' });
      expect(await advance()).toMatchObject({
        unfinished: [{ machineId: made.machineId, executionId: first.execution.executionId }],
        batch: { status: 'running', counts: { cancelled: 1 } },
      });
      await cancel(made.machineId, first.execution.executionId);
      expect(await advance()).toMatchObject({ batch: { status: 'cancelled', counts: { cancelled: 2 } } });
    });

    it('create each execution once, however often it is requested', async () => {
      await create({ maxConcurrency: 2 });
      const { next } = await advance();
      const asked = [...next, ...(await advance()).next].map(({ machineId, idempotency }) =>
        bench().store.createExecution({ ...bench().request({ machineId }), idempotency }),
      );
      const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome);
      expect(outcomes).toEqual(['created', 'created', 'replayed', 'replayed']);
    });

    it('count a deleted execution as failed', async () => {
      await create({ maxConcurrency: 1 });
      expect(await batches().getBatch({ batchId: BATCH })).not.toHaveProperty('command');
      const first = await make(0, 'dm-two');
      const { command } = await bench().get(first, 'dm-two');
      const { items: listed } = await batches().listBatches({ limit: 9 });
      expect(listed.map((batch) => batch.command)).toEqual([command]);
      await cancel('dm-two', first);
      await bench().store.deleteFinished({ before: Number.MAX_SAFE_INTEGER, limit: 9 });
      expect(await advance()).toMatchObject({ batch: { counts: { failed: 1, pending: 1 } }, next: [{ position: 1 }] });
    });

    it('are deleted after their end, a few rows at a time, and are shown completely until then', async () => {
      await create();
      const drop = (limit: number) => batches().deleteEndedBatches({ before: T0 + 6, limit });
      expect(await drop(9)).toBe(0);
      await batches().setBatchMember({ batchId: BATCH, position: 0, result: { outcome: 'failed' } });
      await batches().setBatchMember({ batchId: BATCH, position: 1, result: { outcome: 'failed' } });
      expect((await advance()).batch).toMatchObject({ status: 'failed', completedAt: T0 + 5 });
      await create({ batchId: 'batch-running' });
      expect(await batches().deleteEndedBatches({ before: T0 + 5, limit: 9 })).toBe(0);
      expect(await drop(1)).toBe(1);
      const whole = { batchId: BATCH, status: 'failed', counts: { failed: 2 } };
      expect(await batches().getBatch({ batchId: BATCH })).toMatchObject(whole);
      expect((await batches().listBatches({ limit: 9 })).items[1]).toMatchObject(whole);
      expect(await drop(9)).toBe(2);
      expect(await batches().getBatch({ batchId: BATCH })).toBeUndefined();
      expect(await drop(9)).toBe(0);
      expect((await batches().listBatches({ limit: 9 })).items).toMatchObject([{ counts: { pending: 2 } }]);
    });

    it('are listed newest first, for all keys or one key', async () => {
      await create({ batchId: 'batch-a' });
      await create({ batchId: 'batch-b' });
      const ids = async (p: { createdBy?: string; after?: number } = {}) =>
        (await batches().listBatches({ limit: 9, ...p })).items.map(({ batchId }) => batchId);
      expect(await ids()).toEqual(['batch-b', 'batch-a']);
      expect(await ids({ createdBy: 'other' })).toEqual([]);
      expect(await ids({ createdBy: 'admin' })).toEqual(['batch-b', 'batch-a']);
    });
  });
}
