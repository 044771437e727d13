/** Operations for agents besides reports: claim, wake, expire, lose. */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../../src/store/store.ts';
import { ended, MACHINE, type OpenStore, RUNNER, record, T0, useStore } from './fixture.ts';

const ids = (executions: readonly Execution[]) => executions.map(({ executionId }) => executionId);

export function describeDispatch(open: OpenStore): void {
  describe('queuePlace', () => {
    const bench = useStore(open);
    const place = ({ executionId, machineId }: Execution) => bench().store.queuePlace({ executionId, machineId });

    it('counts the executions that run on the machine, and those that have waited longer', async () => {
      const first = await bench().create();
      const second = await bench().create();
      const third = await bench().create();
      expect([await place(first), await place(third)]).toEqual([
        { busy: 0, ahead: 0 },
        { busy: 0, ahead: 2 },
      ]);
      await bench().store.claimQueued({ ...bench().ofConnection(T0 + 1), limit: 1 });
      expect([await place(second), await place(third)]).toEqual([
        { busy: 1, ahead: 0 },
        { busy: 1, ahead: 1 },
      ]);
      await bench().report([record(first.executionId, 1, 'started'), record(first.executionId, 2, 'ended', ended())]);
      await bench().store.requestCancel({
        machineId: MACHINE,
        executionId: second.executionId,
        by: 'admin',
        now: T0 + 2,
      });
      expect(await place(third)).toEqual({ busy: 0, ahead: 0 });
    });

    it('ignores other machines, and does not find an execution of another machine', async () => {
      await bench().connect('dm-two');
      await bench().create();
      const elsewhere = await bench().create({ machineId: 'dm-two' });
      expect(await place(elsewhere)).toEqual({ busy: 0, ahead: 0 });
      expect(await place({ ...elsewhere, machineId: MACHINE })).toBeUndefined();
    });
  });

  describe('claimQueued', () => {
    const bench = useStore(open);
    const claim = async (limit: number) => {
      const claimed = await bench().store.claimQueued({ ...bench().ofConnection(T0 + 1), limit });
      if (claimed.outcome === 'stale') throw new Error('stale');
      return claimed.dispatches;
    };

    it('returns the oldest first, with their sealed input, under rising numbers', async () => {
      const first = await bench().create({ sealedInput: Buffer.from('sealed') });
      const second = await bench().create();
      const third = await bench().create();
      const claimed = await claim(2);
      expect(claimed.map(({ execution }) => execution.executionId)).toEqual([first.executionId, second.executionId]);
      expect(claimed[0]?.sealedInput).toEqual(Buffer.from('sealed'));
      expect(claimed[1]).not.toHaveProperty('sealedInput');
      expect(claimed.map(({ execution }) => execution.dispatchNumber)).toEqual([1, 2]);
      expect(claimed[0]?.execution).toEqual(await bench().get(first.executionId));
      expect((await claim(5)).map(({ execution }) => execution.executionId)).toEqual([third.executionId]);
      expect(await claim(5)).toEqual([]);
    });

    it('skips executions that have expired, wait for another machine, or wait for the machine to connect', async () => {
      await bench().connect('dm-two');
      await bench().create({ machineId: 'dm-two' });
      await bench().create({ expiresAt: T0 + 1 });
      await bench().disconnect();
      await bench().create();
      await bench().connect();
      expect(await claim(5)).toEqual([]);
    });

    it('returns nothing to an old connection, even of the same instance', async () => {
      await bench().create();
      const before = bench().ofConnection(T0 + 1);
      await bench().connect();
      expect(await bench().store.claimQueued({ ...before, limit: 5 })).toEqual({ outcome: 'stale' });
      await bench().disconnect();
      const gone = bench().ofConnection(T0 + 1);
      expect(await bench().store.claimQueued({ ...gone, limit: 5 })).toEqual({ outcome: 'stale' });
      await bench().connect();
      expect(await claim(5)).toHaveLength(1);
    });

    it('returns each execution to one of many simultaneous claims', async () => {
      for (let n = 0; n < 20; n++) await bench().create();
      const claims = await Promise.all(Array.from({ length: 10 }, () => claim(3)));
      const all = claims.flat().map(({ execution }) => execution.executionId);
      expect(all).toHaveLength(20);
      expect(new Set(all).size).toBe(20);
    });
  });

  describe('listDispatched', () => {
    const bench = useStore(open);

    it('lists the executions of the agent by dispatch number, with sealed input only above a number', async () => {
      const asked = { dispatchTo: RUNNER, sealedInput: Buffer.from('s') };
      const first = await bench().dispatched(asked);
      const second = await bench().dispatched(asked);
      const over = await bench().dispatched(asked);
      await bench().create();
      await bench().report([record(first.executionId, 1, 'started')]);
      await bench().report([record(over.executionId, 1, 'ended', { status: 'succeeded' })]);
      const listed = await bench().store.listDispatched({ machineId: MACHINE, aboveNumber: 1 });
      expect(listed).toEqual([
        { execution: await bench().get(first.executionId) },
        { execution: second, sealedInput: Buffer.from('s') },
      ]);
    });
  });

  describe('endUndelivered', () => {
    const bench = useStore(open);
    const end = async (executionIds: string[]) => {
      const settled = await bench().store.endUndelivered({ ...bench().ofConnection(T0 + 10), executionIds });
      return settled.outcome === 'applied' ? settled.ended : settled.outcome;
    };

    it('ends executions that were cancelled or have expired meanwhile, and no others', async () => {
      const cancelled = await bench().dispatched();
      const expired = await bench().dispatched({ expiresAt: T0 + 10 });
      const waiting = await bench().dispatched();
      const running = await bench().dispatched();
      await bench().report([record(running.executionId, 1, 'started')]);
      const by = { machineId: MACHINE, by: 'admin', now: T0 };
      await bench().store.requestCancel({ ...by, executionId: cancelled.executionId });
      await bench().store.requestCancel({ ...by, executionId: running.executionId });
      const ended = await end([...ids([cancelled, expired, waiting, running]), 'none']);
      expect(ended).toMatchObject([
        { executionId: cancelled.executionId, status: 'cancelled' },
        { executionId: expired.executionId, status: 'expired' },
      ]);
      expect(await bench().get(waiting.executionId)).toEqual(waiting);
      expect(await end(ids([cancelled, expired]))).toEqual([]);
      const stale = bench().ofConnection(T0 + 10);
      await bench().connect();
      expect(await bench().store.endUndelivered({ ...stale, executionIds: ids([waiting]) })).toEqual({
        outcome: 'stale',
      });
    });
  });

  describe('markLost', () => {
    const bench = useStore(open);

    it('ends the executions of an agent, once', async () => {
      const queued = await bench().dispatched();
      const running = await bench().dispatched();
      const waiting = await bench().create();
      await bench().report([record(running.executionId, 1, 'started')]);
      const executionIds = [...ids([queued, running, waiting]), 'none'];
      const lose = async () => {
        const asked = { executionIds, reason: 'The machine rebooted.' };
        const marked = await bench().store.markLost({ ...bench().ofConnection(T0 + 20), ...asked });
        if (marked.outcome === 'stale') throw new Error('stale');
        return marked.ended;
      };
      const lost = await lose();
      expect(ids(lost)).toEqual(ids([queued, running]));
      expect(lost[1]).toMatchObject({
        status: 'failed',
        errorCode: 'agent_lost',
        errorMessage: 'The machine rebooted.',
        completedAt: T0 + 20,
      });
      expect(await lose()).toEqual([]);
      expect(await bench().get(waiting.executionId)).toEqual(waiting);
    });

    it('does nothing for a connection that was replaced', async () => {
      const { executionId } = await bench().dispatched();
      const stale = bench().ofConnection(T0 + 20);
      await bench().connect();
      const asked = { executionIds: [executionId], reason: 'gone' };
      expect(await bench().store.markLost({ ...stale, ...asked })).toEqual({ outcome: 'stale' });
      expect(await bench().get(executionId)).toMatchObject({ status: 'queued' });
    });
  });

  describe('wakeWaiting', () => {
    const bench = useStore(open);

    it('moves the oldest to queued, in parts, each with its event', async () => {
      await bench().disconnect();
      const made = [await bench().create(), await bench().create(), await bench().create()];
      await bench().connect();
      const wake = async (limit: number) => {
        const part = await bench().store.wakeWaiting({ ...bench().ofConnection(T0 + 3), limit });
        if (part.outcome === 'stale') throw new Error('stale');
        return part.woken;
      };
      expect(ids(await wake(2))).toEqual(ids(made.slice(0, 2)));
      expect(await wake(2)).toMatchObject([{ executionId: made[2]?.executionId, status: 'queued' }]);
      expect(await wake(2)).toEqual([]);
      expect(await bench().events(made[0]?.executionId ?? '')).toEqual([
        { sequence: 1, at: T0, type: 'lifecycle', status: 'wake_in_progress' },
        { sequence: 2, at: T0 + 3, type: 'lifecycle', status: 'queued' },
      ]);
    });
  });

  describe('expireDue', () => {
    const bench = useStore(open);

    it('ends waiting executions past their time, the earliest first, and none that an agent has', async () => {
      const { store } = bench();
      await bench().dispatched({ expiresAt: T0 + 1 });
      expect(await store.nextExpiry()).toBeUndefined();
      const later = await bench().create({ expiresAt: T0 + 20 });
      const sooner = await bench().create({ expiresAt: T0 + 10 });
      await bench().create({ expiresAt: T0 + 99 });
      expect(await store.nextExpiry()).toBe(T0 + 10);
      expect(await store.expireDue({ now: T0 + 9, limit: 5 })).toEqual([]);
      expect(ids(await store.expireDue({ now: T0 + 20, limit: 1 }))).toEqual([sooner.executionId]);
      expect(await store.expireDue({ now: T0 + 20, limit: 5 })).toMatchObject([
        { executionId: later.executionId, status: 'expired', errorCode: 'start_timed_out', completedAt: T0 + 20 },
      ]);
      expect(await store.nextExpiry()).toBe(T0 + 99);
    });

    it('has the next time again once the earliest of a machine does not wait any more', async () => {
      const { store } = bench();
      const sooner = await bench().create({ expiresAt: T0 + 10 });
      await bench().create({ expiresAt: T0 + 99 });
      await store.requestCancel({ machineId: 'dm-one', executionId: sooner.executionId, by: 'admin', now: T0 + 1 });
      expect(await store.expireDue({ now: T0 + 10, limit: 5 })).toEqual([]);
      expect(await store.nextExpiry()).toBe(T0 + 99);
      const { executionId } = await bench().create({ expiresAt: T0 + 50 });
      expect(await store.nextExpiry()).toBe(T0 + 50);
      expect(ids(await store.expireDue({ now: T0 + 50, limit: 5 }))).toEqual([executionId]);
    });

    it('ends what is due on each of several machines, a part at a time', async () => {
      const { store } = bench();
      const machines = ['dm-one', 'dm-two', 'dm-three'];
      for (const machineId of machines.slice(1)) await bench().connect(machineId, `runner-${machineId}`);
      const due: string[] = [];
      for (const machineId of [...machines, ...machines])
        due.push((await bench().create({ machineId, expiresAt: T0 + 10 + due.length })).executionId);
      await bench().create({ machineId: 'dm-two', expiresAt: T0 + 99 });
      const ended: string[] = [];
      while (((await store.nextExpiry()) ?? 0) <= T0 + 50)
        ended.push(...ids(await store.expireDue({ now: T0 + 50, limit: 4 })));
      expect(ended.sort()).toEqual(due.sort());
      expect(await store.nextExpiry()).toBe(T0 + 99);
    });
  });

  describe('markAbandonedLost', () => {
    const bench = useStore(open);
    const mark = async (awaySince: number, limit = 9) =>
      ids(await bench().store.markAbandonedLost({ awaySince, reason: 'away', now: T0 + 99, limit }));

    it('ends the executions of agents that have been away for too long', async () => {
      await bench().connect('dm-two', 'runner-2');
      const here = [await bench().dispatched(), await bench().dispatched()];
      const there = await bench().dispatched({ machineId: 'dm-two', dispatchTo: 'runner-2' });
      const waiting = await bench().create();
      await bench().disconnect(MACHINE, T0 + 10);
      await bench().disconnect('dm-two', T0 + 20);
      expect(await mark(T0 + 9)).toEqual([]);
      expect(await mark(T0 + 10, 1)).toEqual(ids(here.slice(0, 1)));
      expect(await mark(T0 + 10)).toEqual(ids(here.slice(1)));
      expect(await mark(T0 + 10)).toEqual([]);
      expect(await mark(T0 + 20)).toEqual([there.executionId]);
      expect(await bench().get(here[0]?.executionId ?? '')).toMatchObject({
        status: 'failed',
        errorCode: 'agent_lost',
        errorMessage: 'away',
        completedAt: T0 + 99,
      });
      expect(await bench().get(waiting.executionId)).toEqual(waiting);
    });

    it('spares a machine that has reconnected', async () => {
      const { executionId } = await bench().dispatched();
      await bench().disconnect(MACHINE, T0 + 10);
      await bench().connect(MACHINE, RUNNER, T0 + 30);
      expect(await mark(T0 + 99)).toEqual([]);
      expect(await bench().get(executionId)).toMatchObject({ status: 'queued' });
    });
  });
}
