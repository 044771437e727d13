/** Retention, expiry and counts. */
import { describe, expect, it } from 'vitest';
import { ended, MACHINE, type OpenStore, record, T0, useStore } from './fixture.ts';

export function describeHousekeeping(open: OpenStore): void {
  describe('deleteFinished', () => {
    const bench = useStore(open);

    it('leaves nothing of what it deleted, and says when there is nothing more to clear', async () => {
      const { store } = bench();
      expect(await store.maintain({ maxBytes: 0 })).toBe(false);
      const { executionId } = await bench().dispatched();
      const chunks = Array.from({ length: 1200 }, (_, n) => record(executionId, n + 1, 'stdout', `${n}\n`));
      await bench().report([...chunks, record(executionId, chunks.length + 1, 'ended', ended())]);
      const kept = await bench().dispatched();
      await bench().report([record(kept.executionId, 1, 'stdout', 'kept')]);
      expect(await store.deleteFinished({ before: T0 + 99, limit: 9 })).toBe(1);
      expect(await bench().events(executionId)).toEqual([]);
      while (await store.maintain({ maxBytes: 0 }));
      expect((await bench().events(kept.executionId)).map(({ sequence }) => sequence)).toEqual([1, 2]);
    });

    it('deletes the earliest finished first, with all that belongs to them', async () => {
      const { store } = bench();
      const finish = async (now: number, text: string) => {
        const { executionId } = await bench().dispatched({ callbackUrl: 'https://example.com' });
        await bench().report([record(executionId, 1, 'stdout', text), record(executionId, 2, 'ended', ended())], {
          now,
        });
        return executionId;
      };
      const late = await finish(T0 + 30, 'late');
      const early = await finish(T0 + 10, 'early');
      const middle = await finish(T0 + 20, 'middle');
      const alive = await bench().create();
      expect(await store.deleteFinished({ before: T0 + 30, limit: 1 })).toBe(1);
      expect(await store.getExecution({ machineId: MACHINE, executionId: early })).toBeUndefined();
      expect(await store.deleteFinished({ before: T0 + 30, limit: 9 })).toBe(1);
      expect(await store.deleteFinished({ before: T0 + 30, limit: 9 })).toBe(0);
      expect(await bench().events(middle)).toEqual([]);
      expect(await store.readStream({ executionId: middle, stream: 'stdout', offset: 0, maxBytes: 9 })).toHaveLength(0);
      const left = (await store.listExecutions({ machineId: MACHINE, limit: 9 })).items;
      expect(left.map(({ executionId }) => executionId)).toEqual([alive.executionId, late]);
      expect((await store.readStream({ executionId: late, stream: 'stdout', offset: 0, maxBytes: 9 })).toString()).toBe(
        'late',
      );
      expect(await store.claimCallbacks({ now: T0 + 99, retryAt: T0 + 100, limit: 9 })).toHaveLength(1);
    });
  });

  describe('maintain', () => {
    const bench = useStore(open);

    it('frees the space of deleted data, step by step', async () => {
      const { store } = bench();
      const { executionId } = await bench().dispatched();
      const chunks = Array.from({ length: 200 }, (_, n) => record(executionId, n + 1, 'stdout', Buffer.alloc(65_536)));
      await bench().report([...chunks, record(executionId, chunks.length + 1, 'ended', ended())]);
      const full = await store.usedBytes();
      expect(full).toBeGreaterThan(0);
      await store.deleteFinished({ before: T0 + 99, limit: 9 });
      while (await store.maintain({ maxBytes: 1 }));
      expect(await store.maintain({ maxBytes: 1 })).toBe(false);
      expect(await store.usedBytes()).toBeLessThanOrEqual(full);
    });
  });

  describe('forgetExpired', () => {
    const bench = useStore(open);

    it('deletes expired keys and tokens, up to a limit', async () => {
      const { store } = bench();
      for (let n = 0; n < 3; n++) {
        const idempotency = { apiKeyId: 'a', key: `k${n}`, digest: Buffer.from('d'), expiresAt: T0 + 10 * n };
        await store.bindIdempotency({ idempotency, resource: 'r', now: T0 - 1 });
        const token = { joinTokenId: `t${n}`, reusable: false, createdAt: T0, expiresAt: T0 + 10 * n };
        await store.createJoinToken({ token, tokenHash: Buffer.from(`h${n}`), now: T0 - 1 });
      }
      expect(await store.forgetExpired({ now: T0 + 10, limit: 3 })).toBe(3);
      expect(await store.forgetExpired({ now: T0 + 10, limit: 3 })).toBe(1);
      expect(await store.forgetExpired({ now: T0 + 10, limit: 3 })).toBe(0);
      expect(await store.getJoinToken({ joinTokenId: 't1' })).toBeUndefined();
      expect(await store.getJoinToken({ joinTokenId: 't2' })).toBeDefined();
    });
  });

  describe('statistics', () => {
    const bench = useStore(open);

    it('counts live executions, and machines', async () => {
      const { store } = bench();
      expect(await store.statistics()).toEqual({ executions: {}, machines: { running: 1 } });
      const running = await bench().dispatched();
      await bench().dispatched();
      const over = await bench().dispatched();
      await bench().create({ now: T0 + 7 });
      await bench().report([record(running.executionId, 1, 'started'), record(over.executionId, 1, 'ended', ended())]);
      await store.createMachine({ machineId: 'dm-two', now: T0 });
      await bench().create({ machineId: 'dm-two', now: T0 + 5 });
      expect(await store.statistics()).toEqual({
        executions: { queued: 2, running: 1, wake_in_progress: 1 },
        oldestWaitingAt: T0 + 5,
        machines: { running: 1, placement_pending: 1 },
      });
    });
  });
}
