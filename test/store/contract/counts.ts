/** Counts by minute. */
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, T0, useStore } from './fixture.ts';

export function describeCounts(open: OpenStore): void {
  describe('counts', () => {
    const bench = useStore(open);

    it('are summed over any span, from any minute on', async () => {
      const { store } = bench();
      const add = (minute: number, name: string, count: number) =>
        store.addCounts({ counts: [{ minute, name, count }], forgetBefore: 0 });
      await add(100, 'created', 2);
      await add(100, 'created', 3);
      await add(101, 'created', 1);
      await add(101, 'failed', 1);
      await add(115, 'created', 4);
      expect(await store.listCounts({ from: 101, step: 1 })).toEqual([
        { minute: 101, name: 'created', count: 1 },
        { minute: 101, name: 'failed', count: 1 },
        { minute: 115, name: 'created', count: 4 },
      ]);
      expect(await store.listCounts({ from: 90, step: 15 })).toEqual([
        { minute: 90, name: 'created', count: 6 },
        { minute: 90, name: 'failed', count: 1 },
        { minute: 105, name: 'created', count: 4 },
      ]);
    });

    it('are deleted if they are older than the given minute', async () => {
      const { store } = bench();
      const counts = [10, 20].map((minute) => ({ minute, name: 'created', count: 1 }));
      await store.addCounts({ counts, forgetBefore: 20 });
      expect(await store.listCounts({ from: 0, step: 1 })).toEqual([{ minute: 20, name: 'created', count: 1 }]);
    });
  });

  describe('failingCallbacks', () => {
    const bench = useStore(open);

    it('counts those that were tried more than once and are not delivered yet', async () => {
      const { store } = bench();
      const { executionId } = await bench().create({ callbackUrl: 'https://example.com/hook' });
      await store.requestCancel({ machineId: MACHINE, executionId, by: 'admin', now: T0 });
      const claim = (now: number) => store.claimCallbacks({ now, retryAt: now + 100, limit: 9 });
      const [first] = await claim(T0);
      expect(await store.failingCallbacks()).toBe(0);
      await claim(T0 + 100);
      expect(await store.failingCallbacks()).toBe(1);
      await store.finishCallback({ callbackId: first?.callbackId ?? 0 });
      expect(await store.failingCallbacks()).toBe(0);
    });
  });
}
