/** Callbacks: written with the end of the execution, claimed, postponed, finished. */
import { describe, expect, it } from 'vitest';
import { ended, MACHINE, type OpenStore, record, T0, useStore } from './fixture.ts';

export function describeCallbacks(open: OpenStore): void {
  describe('callbacks', () => {
    const bench = useStore(open);
    const callbackUrl = 'https://example.com/hook';
    const claim = (now: number, limit = 9) => bench().store.claimCallbacks({ now, retryAt: now + 100, limit });

    it('are created with the end, whatever it is, and only if requested', async () => {
      const { store } = bench();
      expect(await store.nextCallback()).toBeUndefined();
      const reported = await bench().dispatched({ callbackUrl });
      const cancelled = await bench().create({ callbackUrl });
      const silent = await bench().create();
      expect(await claim(T0 + 99)).toEqual([]);
      await bench().report([record(reported.executionId, 1, 'ended', ended())], { now: T0 + 10 });
      for (const { executionId } of [cancelled, silent]) {
        await store.requestCancel({ machineId: MACHINE, executionId, by: 'admin', now: T0 + 20 });
      }
      expect(await store.nextCallback()).toBe(T0 + 10);
      expect(await claim(T0 + 20)).toEqual([
        {
          callbackId: expect.any(Number),
          attempt: 1,
          createdAt: T0 + 10,
          url: callbackUrl,
          execution: await bench().get(reported.executionId),
        },
        expect.objectContaining({ attempt: 1, execution: await bench().get(cancelled.executionId) }),
      ]);
    });

    it('are listed until they are delivered, newest first', async () => {
      const { store } = bench();
      const first = await bench().create({ callbackUrl });
      const second = await bench().create({ callbackUrl });
      for (const { executionId } of [first, second]) {
        await store.requestCancel({ machineId: MACHINE, executionId, by: 'admin', now: T0 });
      }
      await claim(T0, 1);
      const newest = await store.listCallbacks({ limit: 1 });
      const waiting = { callbackId: expect.any(Number), machineId: MACHINE, url: callbackUrl, createdAt: T0 };
      expect(newest.items).toEqual([{ ...waiting, executionId: second.executionId, attempts: 0, dueAt: T0 }]);
      const { items } = await store.listCallbacks({ limit: 1, after: newest.next ?? 0 });
      expect(items).toEqual([{ ...waiting, executionId: first.executionId, attempts: 1, dueAt: T0 + 100 }]);
      await store.finishCallback({ callbackId: items[0]?.callbackId ?? 0 });
      expect((await store.listCallbacks({ limit: 9 })).items).toHaveLength(1);
    });

    it('are postponed by a claim, retried on request, and deleted when finished', async () => {
      const { store } = bench();
      const { executionId } = await bench().create({ callbackUrl });
      await store.requestCancel({ machineId: MACHINE, executionId, by: 'admin', now: T0 });
      const [first] = await claim(T0);
      const callbackId = first?.callbackId ?? 0;
      expect(await claim(T0 + 99)).toEqual([]);
      expect(await store.nextCallback()).toBe(T0 + 100);
      await store.retryCallback({ callbackId, at: T0 + 50 });
      expect(await claim(T0 + 50)).toMatchObject([{ callbackId, attempt: 2, createdAt: T0 }]);
      await store.finishCallback({ callbackId });
      expect(await store.nextCallback()).toBeUndefined();
      expect(await claim(T0 + 9999)).toEqual([]);
    });
  });
}
