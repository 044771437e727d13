/** The ticks that each server takes, and their outcomes. Batches are only counted. */
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { pino } from 'pino';
import type { RunStarter } from '../../../../src/server/control/schedules/run-starter.ts';
import { makeDirectory, removeDirectory } from '../../../helpers/directories.ts';
import { openTestStore } from '../../../helpers/test-store.ts';
import { Scheduler } from '../../../../src/server/control/schedules/scheduler.ts';
import type { NewSchedule, Schedule, Store } from '../../../../src/store/store.ts';

const ANCHOR = 1_000_000;
const EVERY_MS = 60_000;

/** A stub of the batches that records starts and cancellations. The test sets whether it is busy. */
class CountedStarter extends EventEmitter implements Pick<RunStarter, 'start' | 'isRunning' | 'cancel'> {
  readonly started: number[] = [];
  readonly cancelled: string[] = [];
  busy = false;
  /** The schedule that cannot be started. */
  faulty: string | undefined;
  readonly #store: Store;

  constructor(store: Store) {
    super();
    this.#store = store;
  }

  async start({ scheduleId }: Schedule, dueAt: number): Promise<void> {
    if (scheduleId === this.faulty) throw new Error('its command cannot be read');
    this.started.push(dueAt);
    const run = { scheduleId, dueAt, outcome: 'started', batchId: `batch-${dueAt}` } as const;
    await this.#store.decideRun({ run, now: dueAt });
    this.emit('started');
  }

  isRunning(batchId: string | undefined): Promise<boolean> {
    return Promise.resolve(batchId !== undefined && this.busy);
  }

  cancel(batchId: string | undefined): Promise<void> {
    this.cancelled.push(String(batchId));
    return Promise.resolve();
  }
}

/** A store with one schedule, `every` minute from `ANCHOR` on, and a clock that the test sets. */
async function scheduled(p: Partial<NewSchedule['definition']> = {}) {
  const dir = makeDirectory('schedules');
  const store = openTestStore({ path: join(dir, 'test.db') });
  onTestFinished(async () => {
    await store.close();
    await removeDirectory(dir);
  });
  const starter = new CountedStarter(store);
  const clock = { now: ANCHOR };
  const create = (scheduleId: string) =>
    store.createSchedule({
      schedule: {
        scheduleId,
        definition: {
          timing: { everyMs: EVERY_MS },
          selector: { machineIds: ['dm-one'] },
          overlap: 'skip',
          catchUp: false,
          maxConcurrency: 1,
          shown: { command: ['true'], envKeys: [] },
          ...p,
        },
        sealedRequest: Buffer.from('s'),
        createdBy: 'admin',
        anchorAt: ANCHOR,
        nextAt: ANCHOR + EVERY_MS,
      },
      now: ANCHOR,
    });
  await create('sched-1');
  const deps = {
    store,
    starter: starter as unknown as RunStarter,
    log: pino({ level: 'silent' }),
    now: () => clock.now,
  };
  /** Checks the schedules once, like a server that has just started. */
  const look = () => new Scheduler(deps).look();
  const outcomes = async () => {
    const { items } = await store.listRuns({ scheduleId: 'sched-1', limit: 100 });
    return items.map(({ outcome, reason }) => (reason === undefined ? outcome : `${outcome} ${reason}`)).reverse();
  };
  return { store, starter, clock, deps, create, look, outcomes };
}
const tick = (number: number) => ANCHOR + number * EVERY_MS;

test('a tick runs once, and not before it is due', async () => {
  const { starter, clock, look } = await scheduled();
  await look();
  expect(starter.started).toEqual([]);
  clock.now = tick(1);
  await look();
  await look();
  expect(starter.started).toEqual([tick(1)]);
  clock.now = tick(2) + 5;
  await look();
  expect(starter.started).toEqual([tick(1), tick(2)]);
});

test('one of several servers takes a tick', async () => {
  const { starter, clock, look } = await scheduled();
  clock.now = tick(1);
  await Promise.all([look(), look(), look()]);
  expect(starter.started).toEqual([tick(1)]);
});

test('many schedules that are due at the same second each start once, whichever server handles them', async () => {
  const { store, starter, clock, create, deps } = await scheduled();
  for (let number = 2; number <= 250; number += 1) await create(`sched-${number}`);
  clock.now = tick(1);
  const servers = [new Scheduler(deps), new Scheduler(deps), new Scheduler(deps)];
  const due = async () => (await store.listDueSchedules({ now: clock.now, limit: 1 })).items.length;
  while ((await due()) > 0) await Promise.all(servers.map((server) => server.look()));
  expect(starter.started).toHaveLength(250);
});

test('a schedule that cannot be started does not stop the others, and is tried again', async () => {
  const { store, starter, clock, create, look } = await scheduled();
  await create('sched-2');
  starter.faulty = 'sched-1';
  clock.now = tick(1);
  expect(await look()).toBeGreaterThanOrEqual(1000);
  expect(starter.started).toEqual([tick(1)]);
  clock.now = tick(2);
  await look();
  expect(starter.started).toEqual([tick(1), tick(2)]);
  starter.faulty = undefined;
  clock.now = tick(2) + 10_000;
  await look();
  const { items } = await store.listRuns({ scheduleId: 'sched-1', limit: 9 });
  expect(items.map(({ outcome }) => outcome)).toEqual(['started', 'started']);
});

test('a schedule continues when a clock that was ahead is set back, and repeats no tick', async () => {
  const { starter, clock, deps } = await scheduled();
  let server = new Scheduler(deps);
  const lookAt = async (now: number) => {
    clock.now = now;
    await server.look();
  };
  await lookAt(tick(1));
  // The tick that is due then, number 2, is missed.
  await lookAt(tick(1_000_000));
  await lookAt(tick(1) + 1);
  for (const number of [2, 3]) await lookAt(tick(number));
  expect(starter.started).toEqual([tick(1), tick(3)]);
  // Number 4 is missed. The clock goes back to before a tick that has run, while no server runs.
  await lookAt(tick(1_000_000));
  server = new Scheduler(deps);
  await lookAt(tick(3) - 1);
  for (const number of [3, 4, 5]) await lookAt(tick(number));
  expect(starter.started).toEqual([tick(1), tick(3), tick(5)]);
});

test('a run that waits is found, however many others wait longer', async () => {
  const { store, starter, clock, create, look } = await scheduled({ overlap: 'queue' });
  starter.isRunning = (batchId) => Promise.resolve(batchId !== undefined && starter.busy && batchId !== 'batch-free');
  for (let number = 2; number <= 130; number += 1) await create(`sched-${number}`);
  for (let number = 1; number <= 130; number += 1) {
    const scheduleId = `sched-${number}`;
    const run = { scheduleId, dueAt: tick(1), decidedAt: tick(1), outcome: 'starting' } as const;
    await store.beginRun({ run, nextAt: tick(2), keep: 10 });
    const batchId = number === 130 ? 'batch-free' : `batch-${number}`;
    await store.decideRun({ run: { ...run, outcome: 'started', batchId }, now: tick(1) });
    const waiting = { ...run, dueAt: tick(2), outcome: 'queued' } as const;
    await store.beginRun({ run: waiting, nextAt: tick(3), keep: 10 });
  }
  starter.busy = true;
  clock.now = tick(2);
  await look();
  expect(starter.started).toEqual([tick(2)]);
});

test('ticks during which no server ran are missed', async () => {
  const { starter, clock, look, outcomes } = await scheduled();
  clock.now = tick(5) + 1;
  await look();
  expect([starter.started, await outcomes()]).toEqual([[], ['missed']]);
  clock.now = tick(6);
  await look();
  expect(starter.started).toEqual([tick(6)]);
});

test('ticks during which no server ran are caught up by one run', async () => {
  const { starter, clock, look, outcomes } = await scheduled({ catchUp: true });
  clock.now = tick(5) + 1;
  await look();
  await look();
  expect([starter.started, await outcomes()]).toEqual([[tick(1)], ['started']]);
});

test.each([
  ['skip', ['started', 'skipped overlap', 'skipped overlap'], []],
  ['queue', ['started', 'queued', 'skipped overlap'], []],
  ['cancel', ['started', 'started', 'started'], [`batch-${tick(1)}`, `batch-${tick(2)}`]],
] as const)('overlap %s: ticks become %j while the first run continues', async (overlap, expected, cancelled) => {
  const { starter, clock, look, outcomes } = await scheduled({ overlap });
  for (const number of [1, 2, 3]) {
    clock.now = tick(number);
    await look();
    starter.busy = true;
  }
  expect(await outcomes()).toEqual(expected);
  expect(starter.cancelled).toEqual(cancelled);
});

test('a waiting tick runs when the run before it has ended', async () => {
  const { starter, clock, look, outcomes } = await scheduled({ overlap: 'queue' });
  clock.now = tick(1);
  await look();
  starter.busy = true;
  clock.now = tick(2);
  await look();
  await look();
  expect(starter.started).toEqual([tick(1)]);
  starter.busy = false;
  await look();
  expect([starter.started, await outcomes()]).toEqual([
    [tick(1), tick(2)],
    ['started', 'started'],
  ]);
});

test('a tick that a server has taken and not run is run by another', async () => {
  const { store, starter, clock, look } = await scheduled();
  clock.now = tick(1);
  const run = { scheduleId: 'sched-1', dueAt: tick(1), decidedAt: tick(1), outcome: 'starting' } as const;
  await store.beginRun({ run, nextAt: tick(2), keep: 10 });
  await look();
  // The server of the run may still be running it.
  expect(starter.started).toEqual([]);
  clock.now += 10_000;
  await look();
  expect(starter.started).toEqual([tick(1)]);
});

test('a paused schedule has no ticks, and a waiting tick is skipped', async () => {
  const { store, starter, clock, look, outcomes } = await scheduled({ overlap: 'queue' });
  clock.now = tick(1);
  await look();
  starter.busy = true;
  clock.now = tick(2);
  await look();
  const { definition, sealedRequest, anchorAt } = (await store.getSchedule({ scheduleId: 'sched-1' })) as Schedule;
  const change = { definition, sealedRequest, anchorAt, paused: 'by_request' };
  await store.updateSchedule({ scheduleId: 'sched-1', change, now: clock.now });
  starter.busy = false;
  clock.now = tick(10);
  await look();
  expect([starter.started, await outcomes()]).toEqual([[tick(1)], ['started', 'skipped paused']]);
});

test('the scheduler wakes by itself when the next tick is due', async () => {
  const { store, starter, deps } = await scheduled();
  const found = (await store.getSchedule({ scheduleId: 'sched-1' })) as Schedule;
  const begun = Date.now();
  const change = {
    ...found,
    definition: { ...found.definition, timing: { everyMs: 200 } },
    anchorAt: begun,
    nextAt: begun + 200,
  };
  await store.updateSchedule({ scheduleId: 'sched-1', change, now: begun });
  const scheduler = new Scheduler({ ...deps, now: Date.now });
  const started = once(starter, 'started');
  scheduler.wake();
  await started;
  await scheduler.stop();
  expect(starter.started[0]).toBe(begun + 200);
});
