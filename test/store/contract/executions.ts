/** Creating, reading and cancelling executions. */
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, RUNNER, record, T0, useStore, REMOVE } from './fixture.ts';

export function describeExecutions(open: OpenStore): void {
  describe('createExecution', () => {
    const bench = useStore(open);

    it('stores all requested fields', async () => {
      const created = await bench().create({
        command: ['printf', '%s', 'ü\n'],
        cwd: '/srv',
        envKeys: ['A', 'B'],
        user: 'www',
        timeoutMs: 2 ** 40,
        stdinMode: 'open',
        callbackUrl: 'https://example.com/hook',
        sealedInput: Buffer.from('sealed'),
        createdBy: 'key-1',
      });
      expect(created).toMatchObject({
        machineId: MACHINE,
        command: ['printf', '%s', 'ü\n'],
        cwd: '/srv',
        envKeys: ['A', 'B'],
        user: 'www',
        timeoutMs: 2 ** 40,
        stdinMode: 'open',
        callbackUrl: 'https://example.com/hook',
        createdBy: 'key-1',
        status: 'queued',
        createdAt: T0,
        expiresAt: T0 + 60_000,
        stdout: { bytes: 0, truncated: false },
        lastSequence: 1,
        reported: 0,
      });
      expect(created).not.toHaveProperty('sealedInput');
      expect(await bench().get(created.executionId)).toEqual(created);
      expect(await bench().events(created.executionId)).toEqual([
        { sequence: 1, at: T0, type: 'lifecycle', status: 'queued' },
      ]);
    });

    it('omits fields that were not requested', async () => {
      const created = await bench().get((await bench().create()).executionId);
      for (const absent of ['cwd', 'user', 'timeoutMs', 'callbackUrl', 'startedAt', 'completedAt', 'dispatchedTo']) {
        expect(created).not.toHaveProperty(absent);
      }
      expect(created.envKeys).toEqual([]);
    });

    it('begins as wake_in_progress if the machine is away', async () => {
      await bench().disconnect();
      const created = await bench().create({ dispatchTo: RUNNER });
      expect(created).toMatchObject({ status: 'wake_in_progress' });
      expect(created).not.toHaveProperty('dispatchedTo');
      expect(await bench().events(created.executionId)).toMatchObject([{ status: 'wake_in_progress' }]);
    });

    it('dispatches in the same transaction, under rising numbers, with no event', async () => {
      const first = await bench().create({ dispatchTo: RUNNER });
      const second = await bench().create({ dispatchTo: RUNNER });
      expect(first).toMatchObject({ status: 'queued', dispatchedTo: RUNNER, dispatchNumber: 1, lastSequence: 1 });
      expect(second).toMatchObject({ dispatchNumber: 2 });
      expect(await bench().get(second.executionId)).toEqual(second);
    });

    it('does not overtake waiting executions', async () => {
      await bench().create();
      expect(await bench().create({ dispatchTo: RUNNER })).not.toHaveProperty('dispatchedTo');
    });

    it('does not dispatch to a connection that has ended, even of the same instance', async () => {
      const epoch = bench().epoch();
      await bench().connect();
      expect(await bench().create({ dispatchTo: RUNNER, epoch })).not.toHaveProperty('dispatchedTo');
    });

    it('returns the execution that an earlier attempt has made, and creates it if none has', async () => {
      const request = { ...bench().request({ dispatchTo: RUNNER }), mayExist: true };
      const made = await bench().store.createExecution(request);
      expect(made).toMatchObject({ outcome: 'created', execution: { dispatchNumber: 1 } });
      const again = await bench().store.createExecution(request);
      expect(again).toEqual({ ...made, outcome: 'existing' });
      expect(await bench().create({ dispatchTo: RUNNER })).toMatchObject({ dispatchNumber: 2 });
    });

    it('refuses machines that do not exist or were removed', async () => {
      const { store } = bench();
      expect(await store.createExecution(bench().request({ machineId: 'dm-none' }))).toEqual({
        outcome: 'machine_not_found',
      });
      await store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0 });
      expect(await store.createExecution(bench().request())).toEqual({ outcome: 'machine_removed' });
    });

    it('counts only undispatched executions of that machine against the limit', async () => {
      await bench().connect('dm-two', 'runner-2');
      await bench().create({ machineId: 'dm-two' });
      await bench().create({ dispatchTo: RUNNER });
      const waiting = [await bench().create({ queueLimit: 2 }), await bench().create({ queueLimit: 2 })];
      expect(await bench().store.createExecution(bench().request({ queueLimit: 2 }))).toEqual({
        outcome: 'queue_full',
      });
      await bench().store.requestCancel({
        machineId: MACHINE,
        executionId: waiting[0]?.executionId ?? '',
        by: 'admin',
        now: T0,
      });
      await bench().create({ queueLimit: 2 });
      expect(await bench().store.createExecution(bench().request({ queueLimit: 2 }))).toEqual({
        outcome: 'queue_full',
      });
    });

    it('enforces the limit for simultaneous creates', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => bench().store.createExecution(bench().request({ queueLimit: 20 }))),
      );
      expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(20);
      expect(outcomes.filter(({ outcome }) => outcome === 'queue_full')).toHaveLength(30);
    });

    it('fails alone among others if its id is taken', async () => {
      const [taken, first, second] = [bench().request(), bench().request(), bench().request()];
      await bench().store.createExecution(taken);
      const settled = await Promise.allSettled(
        [first, taken, second].map((request) => bench().store.createExecution(request)),
      );
      expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await bench().store.listExecutions({ machineId: MACHINE, limit: 10 })).items).toHaveLength(3);
    });
  });

  describe('getExecution', () => {
    const bench = useStore(open);

    it('finds nothing under another machine or id', async () => {
      await bench().connect('dm-two');
      const { executionId } = await bench().create();
      expect(await bench().store.getExecution({ machineId: 'dm-two', executionId })).toBeUndefined();
      expect(await bench().store.getExecution({ machineId: MACHINE, executionId: 'none' })).toBeUndefined();
    });
  });

  describe('requestCancel', () => {
    const bench = useStore(open);
    const cancel = (executionId: string, now = T0 + 5, machineId = MACHINE) =>
      bench().store.requestCancel({ machineId, executionId, by: 'key-9', now });

    it('ends a waiting execution at once', async () => {
      const { executionId } = await bench().create({ sealedInput: Buffer.from('x') });
      expect(await cancel(executionId)).toMatchObject({
        outcome: 'applied',
        execution: { status: 'cancelled', errorCode: 'cancelled', cancelledBy: 'key-9', completedAt: T0 + 5 },
      });
      expect(await bench().events(executionId)).toMatchObject([
        { sequence: 1, status: 'queued' },
        { sequence: 2, at: T0 + 5, status: 'cancelled', errorCode: 'cancelled' },
      ]);
      expect(await bench().store.claimQueued({ ...bench().ofConnection(T0), limit: 9 })).toEqual({
        outcome: 'applied',
        dispatches: [],
      });
    });

    it('only marks an execution that an agent has, once', async () => {
      const { executionId } = await bench().dispatched();
      expect(await cancel(executionId)).toMatchObject({
        outcome: 'applied',
        execution: { status: 'queued', cancelRequestedAt: T0 + 5, dispatchedTo: RUNNER, lastSequence: 1 },
      });
      expect(await cancel(executionId, T0 + 6)).toMatchObject({
        outcome: 'stale',
        execution: { cancelRequestedAt: T0 + 5, cancelledBy: 'key-9' },
      });
    });

    it('is stale after the end', async () => {
      const { executionId } = await bench().dispatched();
      await bench().report([
        record(executionId, 1, 'started'),
        record(executionId, 2, 'ended', { status: 'succeeded' }),
      ]);
      expect(await cancel(executionId)).toMatchObject({ outcome: 'stale', execution: { status: 'succeeded' } });
      expect(await bench().get(executionId)).not.toHaveProperty('cancelledBy');
    });

    it('does not find an execution under another machine', async () => {
      const { executionId } = await bench().create();
      expect(await cancel(executionId, T0, 'dm-two')).toEqual({ outcome: 'not_found' });
      expect(await cancel('none')).toEqual({ outcome: 'not_found' });
    });

    it('that races the natural end has one winner', async () => {
      const { executionId } = await bench().dispatched();
      await bench().report([record(executionId, 1, 'started')]);
      const [cancelled, result] = await Promise.all([
        cancel(executionId),
        bench().report([record(executionId, 2, 'ended', { status: 'succeeded', exit_code: 0 })]),
      ]);
      expect(cancelled).toMatchObject({ outcome: 'applied', execution: { status: 'running' } });
      expect(result).toMatchObject({ outcome: 'applied', execution: { status: 'succeeded' } });
      const statuses = (await bench().events(executionId)).map((event) => event.type === 'lifecycle' && event.status);
      expect(statuses).toEqual(['queued', 'running', 'succeeded']);
    });
  });
}
