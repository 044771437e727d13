/** Lists: order, filters, and pages that neither skip nor repeat while rows are inserted. */
import { describe, expect, it } from 'vitest';
import type { Labels } from '../../../src/core/machines/labels.ts';
import type { Page, PageRequest, Store } from '../../../src/store/store.ts';
import { ended, FACTS, MACHINE, type OpenStore, record, RUNNER, T0, useStore, REMOVE } from './fixture.ts';

/** Follows `next` to the end; `between` runs after each page. */
async function follow<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  limit: number,
  between: () => Promise<unknown> = async () => {},
): Promise<T[]> {
  const items: T[] = [];
  let after: number | undefined;
  for (;;) {
    const page: Page<T> = await list(after === undefined ? { limit } : { limit, after });
    if (after !== undefined) expect(page.items).not.toEqual([]);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    if (page.next === undefined) return items;
    after = page.next;
    await between();
  }
}

export function describePages(open: OpenStore): void {
  describe('pages', () => {
    const bench = useStore(open);
    const ids = (items: { executionId: string }[]) => items.map(({ executionId }) => executionId);

    it('lists executions of one machine, newest first', async () => {
      await bench().connect('dm-two');
      const made = [];
      for (let n = 0; n < 7; n++) {
        made.push((await bench().create()).executionId);
        await bench().create({ machineId: 'dm-two' });
      }
      const listed = await follow((page) => bench().store.listExecutions({ machineId: MACHINE, ...page }), 3);
      expect(ids(listed)).toEqual(made.reverse());
    });

    it('skip and repeat nothing while executions are created', async () => {
      const made = [];
      for (let n = 0; n < 10; n++) made.push((await bench().create()).executionId);
      const listed = await follow(
        (page) => bench().store.listExecutions({ machineId: MACHINE, ...page }),
        3,
        () => bench().create(),
      );
      expect(ids(listed)).toEqual(made.reverse());
    });

    describe('over all machines', () => {
      const HISTORY = ['succeeded', 'succeeded', 'failed', 'failed', 'queued', 'queued'] as const;
      /** Executions of dm-one and dm-two in turn, at intervals of one second. */
      const history = async () => {
        await bench().connect('dm-two', 'runner-2');
        const made: { executionId: string; machineId: string; status: string; at: number }[] = [];
        for (const [n, status] of HISTORY.entries()) {
          const at = T0 + n * 1000;
          const machine =
            n % 2 === 0 ? { machineId: MACHINE, runner: RUNNER } : { machineId: 'dm-two', runner: 'runner-2' };
          const { machineId } = machine;
          const { executionId } = await bench().create({ machineId, now: at, dispatchTo: machine.runner });
          const reports = status === 'queued' ? [] : [record(executionId, 1, 'ended', ended({ status }))];
          await bench().store.appendReports({ machineId, records: reports, clockOffsetMs: 0, now: at });
          made.unshift({ executionId, machineId, status, at });
        }
        return made;
      };
      const label = (machineId: string, labels: Labels) => {
        const change = { request: { type: 'configure', labels }, capabilities: new Map() } as const;
        return bench().store.changeMachine({ machineId, ...change, now: T0 });
      };
      const listAll = (p: Omit<Parameters<Store['listAllExecutions']>[0], keyof PageRequest> = {}) =>
        follow((page) => bench().store.listAllExecutions({ ...p, ...page }), 2);

      it('lists executions newest first, of all machines or of some', async () => {
        const made = await history();
        expect(ids(await listAll())).toEqual(ids(made));
        const ofTwo = made.filter(({ machineId }) => machineId === 'dm-two');
        expect(ids(await listAll({ machineIds: ['dm-two', 'dm-none'] }))).toEqual(ids(ofTwo));
        expect(ids(await listAll({ machineIds: [MACHINE, 'dm-two'] }))).toEqual(ids(made));
        const many = ['dm-two', ...Array.from({ length: 200 }, (_, n) => `dm-none-${n}`)];
        expect(ids(await listAll({ machineIds: many }))).toEqual(ids(ofTwo));
        expect(await listAll({ machineIds: [] })).toEqual([]);
      });

      it('lists the executions of the machines with all of some labels', async () => {
        const made = await history();
        await label('dm-two', { role: 'web', site: 'berlin' });
        const ofTwo = made.filter(({ machineId }) => machineId === 'dm-two');
        const [role, site] = [{ key: 'role', value: 'web' }, { key: 'site' }];
        expect(ids(await listAll({ labels: [role, site] }))).toEqual(ids(ofTwo));
        expect(ids(await listAll({ labels: [site], machineIds: [MACHINE, 'dm-two'], status: 'failed' }))).toEqual(
          ids(ofTwo.filter(({ status }) => status === 'failed')),
        );
        expect(await listAll({ labels: [role], machineIds: [MACHINE] })).toEqual([]);
        expect(await listAll({ labels: [role, { key: 'site', value: 'paris' }] })).toEqual([]);
      });

      it('lists the executions of machines that do little, among many of others', async () => {
        await bench().connect('dm-two', 'runner-2');
        const quiet = [];
        for (let n = 0; n < 3; n++) {
          quiet.unshift(await bench().create({ machineId: 'dm-two' }));
          for (let other = 0; other < 200; other++) await bench().create();
        }
        await label('dm-two', { role: 'quiet' });
        expect(ids(await listAll({ labels: [{ key: 'role' }] }))).toEqual(ids(quiet));
        expect(ids(await listAll({ machineIds: ['dm-two', 'dm-none'] }))).toEqual(ids(quiet));
      });

      /** The 24 executions of seven machines, in no order; each sixth is a terminal, each third was cancelled. */
      const scattered = async (machineIds: readonly string[]) => {
        for (const machineId of machineIds) await bench().connect(machineId, `runner-${machineId}`);
        const made: { executionId: string; machineId: string; status: string }[] = [];
        for (let n = 0; n < 24; n++) {
          const machineId = `dm-${(n * n + 3) % 7}`;
          const { executionId } = await bench().create({ machineId, ...(n % 6 === 5 && { isTerminal: true }) });
          if (n % 3 === 0) await bench().store.requestCancel({ machineId, executionId, by: 'admin', now: T0 });
          made.unshift({ executionId, machineId, status: n % 3 === 0 ? 'cancelled' : 'queued' });
        }
        return made.filter((_, at) => (23 - at) % 6 !== 5);
      };

      it('lists executions of more machines than a page has room for, also if the newest are of another kind', async () => {
        const machineIds = Array.from({ length: 7 }, (_, n) => `dm-${n}`);
        const made = await scattered(machineIds);
        await label('dm-0', { role: 'web' });
        await label('dm-4', { role: 'web' });
        const of = (condition: (one: (typeof made)[number]) => boolean) => ids(made.filter(condition));
        expect(ids(await listAll({ machineIds }))).toEqual(ids(made));
        expect(ids(await listAll({ machineIds, status: 'queued' }))).toEqual(of(({ status }) => status === 'queued'));
        const cancelled = await listAll({ machineIds, status: 'cancelled' });
        expect(ids(cancelled)).toEqual(of(({ status }) => status === 'cancelled'));
        const labelled = of(({ machineId }) => machineId === 'dm-0' || machineId === 'dm-4');
        expect(ids(await listAll({ labels: [{ key: 'role', value: 'web' }] }))).toEqual(labelled);
        expect(labelled.length).toBeGreaterThan(3);
      });

      it.each(['queued', 'running', 'failed', 'succeeded'] as const)(
        'lists executions with status %s',
        async (status) => {
          const made = await history();
          const these = made.filter((one) => one.status === status);
          expect(ids(await listAll({ status }))).toEqual(ids(these));
          const here = these.filter(({ machineId }) => machineId === MACHINE);
          expect(ids(await listAll({ status, machineIds: [MACHINE] }))).toEqual(ids(here));
        },
      );

      it('lists executions created since a time', async () => {
        const made = await history();
        const recent = made.filter(({ at }) => at >= T0 + 3000);
        expect(ids(await listAll({ since: T0 + 3000 }))).toEqual(ids(recent));
        expect(ids(await listAll({ since: T0 + 3001, status: 'failed' }))).toEqual([]);
      });
    });

    it('has no next page if the last one is exactly full', async () => {
      for (let n = 0; n < 4; n++) await bench().create();
      const page = await bench().store.listExecutions({ machineId: MACHINE, limit: 4 });
      expect(page.items).toHaveLength(4);
      expect(page).not.toHaveProperty('next');
    });

    it('ends a page early if its items are large, loses none, and returns one that is larger than a page', async () => {
      const { store } = bench();
      const made = [];
      for (const quarters of [1, 9, 1, 1, 1, 1, 1]) {
        const command = ['true', 'x'.repeat(quarters * 262_144)];
        made.push((await bench().create({ command })).executionId);
      }
      const sizes: number[] = [];
      const listed = await follow(async (page) => {
        const { items, ...more } = await store.listExecutions({ machineId: MACHINE, ...page });
        sizes.push(items.length);
        return { items, ...more };
      }, 50);
      expect(ids(listed)).toEqual(made.reverse());
      expect(sizes).toEqual([4, 2, 1]);
    });

    it('filters by status, every status', async () => {
      const { store } = bench();
      const running = await bench().dispatched();
      const failed = await bench().dispatched();
      const succeeded = await bench().dispatched();
      const due = await bench().create({ expiresAt: T0 + 1 });
      const waiting = await bench().create();
      const cancelled = await bench().create();
      await bench().report([
        record(running.executionId, 1, 'started'),
        record(failed.executionId, 1, 'ended', { status: 'failed', error_code: 'spawn_failed' }),
        record(succeeded.executionId, 1, 'ended', { status: 'succeeded' }),
      ]);
      await store.requestCancel({ machineId: MACHINE, executionId: cancelled.executionId, by: 'admin', now: T0 });
      await store.expireDue({ now: T0 + 2, limit: 10 });
      await bench().disconnect();
      const away = await bench().create();
      const expected = {
        running,
        failed,
        succeeded,
        expired: due,
        queued: waiting,
        cancelled,
        wake_in_progress: away,
      } as const;
      for (const [status, execution] of Object.entries(expected)) {
        const list = (page: PageRequest) =>
          store.listExecutions({ machineId: MACHINE, status: status as keyof typeof expected, ...page });
        expect(ids(await follow(list, 1))).toEqual([execution.executionId]);
      }
    });

    it('lists nothing of an unknown machine', async () => {
      expect(await bench().store.listExecutions({ machineId: 'dm-none', limit: 5 })).toEqual({ items: [] });
    });

    it('lists machines oldest first, without removed ones, limited on request', async () => {
      const { store } = bench();
      for (const machineId of ['dm-b', 'dm-a', 'dm-c', 'dm-d']) await store.createMachine({ machineId, now: T0 });
      await store.changeMachine({ ...REMOVE, machineId: 'dm-c', now: T0 });
      const names = async (machineIds?: string[]) =>
        (
          await follow(
            (page) => store.listMachines(machineIds === undefined ? page : { machineIds, ...page }),
            2,
            () => store.createMachine({ machineId: 'dm-late', now: T0 }),
          )
        ).map(({ machineId }) => machineId);
      expect(await names(['dm-d', 'dm-c', 'dm-none', 'dm-b', 'dm-b', 'dm-a'])).toEqual(['dm-b', 'dm-a', 'dm-d']);
      expect(await names()).toEqual([MACHINE, 'dm-b', 'dm-a', 'dm-d', 'dm-late']);
      expect(await names([])).toEqual([]);
    });

    it('ends a page of events at its limit of bytes, after at least one', async () => {
      const { executionId } = await bench().dispatched();
      await bench().report([1, 2, 3, 4].map((number) => record(executionId, number, 'stdout', 'x'.repeat(100))));
      const list = (afterSequence: number, maxBytes: number, limit = 100) =>
        bench().store.listEvents({ executionId, afterSequence, limit, maxBytes });
      const sequences = async (page: ReturnType<typeof list>) => (await page).map(({ sequence }) => sequence);
      expect(await sequences(list(0, 250))).toEqual([1, 2, 3]);
      expect(await sequences(list(3, 10))).toEqual([4]);
      expect(await sequences(list(1, 1000, 2))).toEqual([2, 3]);
      expect(await sequences(list(5, 1000))).toEqual([]);
      expect(await bench().store.listEvents({ executionId: 'none', afterSequence: 0, limit: 1, maxBytes: 1 })).toEqual(
        [],
      );
    });

    it('keeps the order of machines in the list, in whatever order they connect', async () => {
      const { store } = bench();
      await store.createMachine({ machineId: 'dm-b', now: T0 });
      await store.machineConnected({ machineId: MACHINE, runnerInstance: 'r', bootId: 'b', facts: FACTS, now: T0 + 9 });
      expect((await store.listMachines({ limit: 9 })).items.map(({ machineId }) => machineId)).toEqual([
        MACHINE,
        'dm-b',
      ]);
    });
  });
}
