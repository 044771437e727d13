/** Schedules: their due times, and the outcome of each tick. */
import { describe, expect, it } from 'vitest';
import type { NewSchedule, ScheduleRun } from '../../../src/store/store.ts';
import { type OpenStore, useStore } from './fixture.ts';

/** A time in the past for any clock. A database with several servers uses its own clock. */
const DUE = 1_700_000_000_000;
const NOW = DUE + 1;
/** A time in the future for any clock. */
const LATER = 4_000_000_000_000;
const DEFINITION: NewSchedule['definition'] = {
  name: 'nightly',
  timing: { cron: '0 3 * * *', timeZone: 'UTC' },
  selector: { labels: { role: 'web' } },
  overlap: 'skip',
  catchUp: false,
  maxConcurrency: 5,
  shown: { command: ['true'], envKeys: ['A'], cwd: '/srv' },
};
const SECRET = Buffer.from('sealed');

export function describeSchedules(open: OpenStore): void {
  describe('schedules', () => {
    const bench = useStore(open);
    const create = (scheduleId: string, p: Partial<NewSchedule> = {}) =>
      bench().store.createSchedule({
        schedule: {
          scheduleId,
          definition: DEFINITION,
          sealedRequest: SECRET,
          createdBy: 'admin',
          anchorAt: DUE,
          nextAt: DUE,
          ...p,
        },
        now: DUE,
      });
    const due = async () => {
      const { items } = await bench().store.listDueSchedules({ now: NOW, limit: 10 });
      return items.map(({ schedule, ...rest }) => ({ scheduleId: schedule.scheduleId, ...rest }));
    };
    const begin = (p: Partial<ScheduleRun> & { nextAt?: number; keep?: number } = {}) => {
      const { nextAt = LATER, keep = 100, ...run } = p;
      const tick = { scheduleId: 'sched-1', dueAt: DUE, decidedAt: NOW, outcome: 'starting' } as const;
      return bench().store.beginRun({ run: { ...tick, ...run }, nextAt, keep });
    };
    const decide = (outcome: ScheduleRun['outcome'], p: Partial<ScheduleRun> = {}) =>
      bench().store.decideRun({ run: { scheduleId: 'sched-1', dueAt: DUE, outcome, ...p }, now: NOW + 1 });
    const runs = async () => (await bench().store.listRuns({ scheduleId: 'sched-1', limit: 10 })).items;

    it('are stored as they were made, and listed newest first', async () => {
      const made = await create('sched-1');
      expect(made).toMatchObject({ outcome: 'created', schedule: { scheduleId: 'sched-1', createdAt: DUE } });
      await create('sched-2', { createdBy: 'key-1', paused: 'by_request' });
      const found = await bench().store.getSchedule({ scheduleId: 'sched-1' });
      expect(found).toEqual({
        scheduleId: 'sched-1',
        definition: DEFINITION,
        sealedRequest: SECRET,
        createdBy: 'admin',
        createdAt: DUE,
        anchorAt: DUE,
        nextAt: DUE,
      });
      const ids = async (p: object) => {
        const { items } = await bench().store.listSchedules({ limit: 10, ...p });
        return items.map(({ scheduleId }) => scheduleId);
      };
      expect(await ids({})).toEqual(['sched-2', 'sched-1']);
      expect(await ids({ createdBy: 'key-1' })).toEqual(['sched-2']);
      expect((await bench().store.listSchedules({ limit: 1 })).next).toBeDefined();
      expect(await bench().store.getSchedule({ scheduleId: 'sched-none' })).toBeUndefined();
    });

    it('are due from their time on, the longest due first', async () => {
      const { store } = bench();
      expect(await store.nextScheduleAt()).toBeUndefined();
      await create('sched-1');
      await create('sched-2', { nextAt: DUE - 5 });
      await create('sched-later', { nextAt: LATER });
      expect(await due()).toEqual([
        { scheduleId: 'sched-2', dueAt: DUE - 5, queued: false },
        { scheduleId: 'sched-1', dueAt: DUE, queued: false },
      ]);
      expect(await store.nextScheduleAt()).toBe(DUE - 5);
    });

    it('have each tick taken once, however many servers try at once', async () => {
      await create('sched-1');
      const taken = await Promise.all([begin(), begin(), begin()]);
      expect(taken.toSorted()).toEqual(['begun', 'stale', 'stale']);
      expect(await due()).toEqual([]);
      expect(await bench().store.nextScheduleAt()).toBe(LATER);
      expect(await runs()).toEqual([{ scheduleId: 'sched-1', dueAt: DUE, decidedAt: NOW, outcome: 'starting' }]);
    });

    it('do not repeat a tick that a change of the schedule brings back', async () => {
      await create('sched-1');
      await begin();
      const change = { definition: DEFINITION, sealedRequest: SECRET, anchorAt: DUE, nextAt: DUE };
      await bench().store.updateSchedule({ scheduleId: 'sched-1', change, now: NOW });
      expect(await due()).toHaveLength(1);
      expect(await begin()).toBe('stale');
      expect([await due(), await runs()]).toMatchObject([[], [{ dueAt: DUE }]]);
    });

    it('store the batch of their last run, and the waiting tick', async () => {
      const { store } = bench();
      await create('sched-1');
      await begin({ nextAt: DUE + 1 });
      expect((await store.listOpenRuns({ limit: 5 })).items).toMatchObject([
        { scheduleId: 'sched-1', outcome: 'starting' },
      ]);
      expect(await decide('started', { batchId: 'batch-1' })).toBe('decided');
      expect(await decide('started', { batchId: 'batch-2' })).toBe('stale');
      expect(await store.lastBatchOf({ scheduleId: 'sched-1' })).toBe('batch-1');
      expect(await due()).toEqual([{ scheduleId: 'sched-1', dueAt: DUE + 1, lastBatchId: 'batch-1', queued: false }]);
      await begin({ dueAt: DUE + 1, nextAt: NOW, outcome: 'queued' });
      expect(await due()).toMatchObject([{ dueAt: NOW, queued: true }]);
      await decide('skipped', { dueAt: DUE + 1, reason: 'paused' });
      expect(await store.listOpenRuns({ limit: 5 })).toEqual({ items: [] });
      expect(await runs()).toEqual([
        { scheduleId: 'sched-1', dueAt: DUE + 1, decidedAt: NOW + 1, outcome: 'skipped', reason: 'paused' },
        { scheduleId: 'sched-1', dueAt: DUE, decidedAt: NOW + 1, outcome: 'started', batchId: 'batch-1' },
      ]);
    });

    it('list their open runs page by page, oldest first', async () => {
      const { store } = bench();
      for (const id of ['sched-1', 'sched-2', 'sched-3']) {
        await create(id);
        const run = { scheduleId: id, dueAt: DUE, decidedAt: NOW, outcome: 'queued' } as const;
        await store.beginRun({ run, nextAt: NOW, keep: 2 });
      }
      const first = await store.listOpenRuns({ limit: 2 });
      expect(first.items).toMatchObject([{ scheduleId: 'sched-1' }, { scheduleId: 'sched-2' }]);
      const rest = await store.listOpenRuns({ limit: 2, after: Number(first.next) });
      expect(rest).toMatchObject({ items: [{ scheduleId: 'sched-3' }] });
      expect(rest).not.toHaveProperty('next');
    });

    it('have another next tick, unless they have changed', async () => {
      const { store } = bench();
      await create('sched-1');
      await store.moveNextTick({ scheduleId: 'sched-1', from: DUE + 1, to: DUE - 5 });
      expect(await store.nextScheduleAt()).toBe(DUE);
      await store.moveNextTick({ scheduleId: 'sched-1', from: DUE, to: DUE - 5 });
      expect(await store.nextScheduleAt()).toBe(DUE - 5);
    });

    it('keep their newest runs, and the open ones', async () => {
      await create('sched-1');
      await begin({ nextAt: DUE + 1, keep: 2 });
      for (const tick of [1, 2, 3, 4]) {
        await begin({ dueAt: DUE + tick, nextAt: DUE + tick + 1, outcome: 'missed', keep: 2 });
      }
      expect((await runs()).map(({ dueAt }) => dueAt - DUE)).toEqual([4, 3, 0]);
    });

    it('can be changed as a whole, paused and deleted', async () => {
      const { store } = bench();
      await create('sched-1');
      const definition = { ...DEFINITION, timing: { everyMs: 5000 }, overlap: 'queue' } as const;
      const change = { definition, sealedRequest: Buffer.from('other'), anchorAt: NOW, paused: 'by_request' };
      const changed = await store.updateSchedule({ scheduleId: 'sched-1', change, now: NOW });
      expect(changed).toEqual({ outcome: 'applied', schedule: await store.getSchedule({ scheduleId: 'sched-1' }) });
      expect(changed).toMatchObject({ schedule: { ...change, createdAt: DUE } });
      expect([await due(), await store.nextScheduleAt()]).toEqual([[], undefined]);
      expect(await begin()).toBe('stale');
      const gone = { scheduleId: 'sched-1', now: NOW };
      expect(await store.deleteSchedule(gone)).toMatchObject({ outcome: 'applied' });
      expect(await store.deleteSchedule(gone)).toEqual({ outcome: 'not_found' });
      expect(await store.updateSchedule({ ...gone, change })).toEqual({ outcome: 'not_found' });
      expect(await store.getSchedule({ scheduleId: 'sched-1' })).toBeUndefined();
      expect(await runs()).toEqual([]);
    });

    it('is returned by a repeated deletion, without its request', async () => {
      const { store } = bench();
      await create('sched-1');
      const { sealedRequest: _, ...schedule } = (await store.getSchedule({ scheduleId: 'sched-1' })) ?? expect.fail();
      const digest = Buffer.from('first');
      const idempotency = { apiKeyId: 'admin', key: 'delete', digest, expiresAt: NOW + 1000 };
      const deletion = { scheduleId: 'sched-1', now: NOW, idempotency };
      expect(await store.deleteSchedule({ ...deletion, createdBy: 'another' })).toEqual({ outcome: 'not_found' });
      expect(await store.deleteSchedule(deletion)).toMatchObject({ outcome: 'applied', schedule });
      const replay = { outcome: 'replayed', resource: 'sched-1', schedule };
      expect(await store.deleteSchedule(deletion)).toEqual(replay);
      const other = { ...idempotency, digest: Buffer.from('other') };
      expect(await store.deleteSchedule({ ...deletion, idempotency: other })).toEqual({ outcome: 'key_reused' });
      expect(await store.deleteSchedule({ ...deletion, now: NOW + 1000 })).toEqual({ outcome: 'not_found' });
    });
  });
}
