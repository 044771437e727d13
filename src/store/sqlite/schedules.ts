/** The schedules of an SQLite database. */
import {
  type DueRow,
  definitionText,
  deletedText,
  isOfAnother,
  repeatedDeletion,
  type RunRow,
  type ScheduleRow,
  toDue,
  toRun,
  toSchedule,
} from '../rows/schedule-row.ts';
import { toPage } from '../rows/page.ts';
import type { Schedule, ScheduleStore } from '../store.ts';
import { refusalOf } from '../transactions/retries.ts';
import { type Context, read } from './tables/context.ts';
import type { Database } from './file/database.ts';

const NEWEST = Number.MAX_SAFE_INTEGER;
const SELECT_RUN = 'SELECT r.*, s.schedule_id FROM schedule_runs r JOIN schedules s ON s.schedule = r.schedule';
const LAST_BATCH = `SELECT r.batch_id FROM schedule_runs r
  WHERE r.schedule = s.schedule AND r.outcome = 'started' ORDER BY r.run DESC LIMIT 1`;

/** The statements, made once. */
function prepare(db: Database) {
  return {
    find: db.prepare<[string], ScheduleRow>('SELECT * FROM schedules WHERE schedule_id = ?'),
    list: db.prepare<[number, number], ScheduleRow>(
      'SELECT * FROM schedules WHERE schedule < ? ORDER BY schedule DESC LIMIT ?',
    ),
    listOf: db.prepare<[string, number, number], ScheduleRow>(
      'SELECT * FROM schedules WHERE created_by = ? AND schedule < ? ORDER BY schedule DESC LIMIT ?',
    ),
    insert: db.prepare(
      `INSERT INTO schedules (schedule_id, definition, sealed_request, created_by, created_at, anchor_at, paused, next_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    update: db.prepare(
      `UPDATE schedules SET definition = ?, sealed_request = ?, anchor_at = ?, paused = ?, next_at = ? WHERE schedule = ?`,
    ),
    remove: db.prepare('DELETE FROM schedules WHERE schedule = ?'),
    removeRuns: db.prepare('DELETE FROM schedule_runs WHERE schedule = ?'),
    due: db.prepare<[number, number], DueRow>(
      `SELECT s.*, (${LAST_BATCH}) AS last_batch, EXISTS (SELECT 1 FROM schedule_runs r
         WHERE r.schedule = s.schedule AND r.outcome = 'queued') AS queued
       FROM schedules s WHERE s.next_at <= ? ORDER BY s.next_at LIMIT ?`,
    ),
    nextAt: db.prepare<[], number | null>('SELECT min(next_at) FROM schedules WHERE next_at IS NOT NULL').pluck(),
    moveOn: db.prepare('UPDATE schedules SET next_at = ? WHERE schedule_id = ? AND next_at = ?'),
    insertRun: db.prepare(
      `INSERT INTO schedule_runs (schedule, due_at, decided_at, outcome, reason)
       SELECT schedule, ?, ?, ?, ? FROM schedules WHERE schedule_id = ? ON CONFLICT DO NOTHING`,
    ),
    forget: db.prepare(
      `DELETE FROM schedule_runs WHERE schedule = (SELECT schedule FROM schedules WHERE schedule_id = $scheduleId)
         AND outcome NOT IN ('starting', 'queued') AND run <= (SELECT r.run FROM schedule_runs r
           JOIN schedules s ON s.schedule = r.schedule WHERE s.schedule_id = $scheduleId
           ORDER BY r.run DESC LIMIT 1 OFFSET $keep)`,
    ),
    decide: db.prepare(
      `UPDATE schedule_runs SET outcome = ?, reason = ?, batch_id = ?, decided_at = ?
       WHERE schedule = (SELECT schedule FROM schedules WHERE schedule_id = ?) AND due_at = ?
         AND outcome IN ('starting', 'queued')`,
    ),
    runs: db.prepare<[string, number, number], RunRow>(
      `${SELECT_RUN} WHERE s.schedule_id = ? AND r.run < ? ORDER BY r.run DESC LIMIT ?`,
    ),
    open: db.prepare<[number, number], RunRow>(
      `${SELECT_RUN} WHERE r.outcome IN ('starting', 'queued') AND r.run > ? ORDER BY r.run LIMIT ?`,
    ),
    lastBatch: db.prepare<[string], string>(`SELECT (${LAST_BATCH}) FROM schedules s WHERE s.schedule_id = ?`).pluck(),
  };
}

/** The tables of schedules; its methods run inside a write. */
class ScheduleTable {
  readonly #statements: ReturnType<typeof prepare>;
  readonly #tx: Context['tx'];

  constructor({ db, tx }: Pick<Context, 'db' | 'tx'>) {
    this.#statements = prepare(db);
    this.#tx = tx;
  }

  get statements(): ReturnType<typeof prepare> {
    return this.#statements;
  }

  found(scheduleId: string): Schedule | undefined {
    const row = this.#statements.find.get(scheduleId);
    return row && toSchedule(row);
  }

  create(p: Parameters<ScheduleStore['createSchedule']>[0]): Awaited<ReturnType<ScheduleStore['createSchedule']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const { scheduleId, definition, sealedRequest, createdBy, anchorAt, paused = null, nextAt = null } = p.schedule;
    const text = definitionText(definition);
    this.#statements.insert.run(scheduleId, text, sealedRequest, createdBy, p.now, anchorAt, paused, nextAt);
    this.#tx.bind(p.idempotency, scheduleId);
    return { outcome: 'created', schedule: { ...p.schedule, createdAt: p.now } };
  }

  update(p: Parameters<ScheduleStore['updateSchedule']>[0]): Awaited<ReturnType<ScheduleStore['updateSchedule']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return refusal;
    const row = this.#statements.find.get(p.scheduleId);
    if (row === undefined) return { outcome: 'not_found' };
    const { definition, sealedRequest, anchorAt, paused = null, nextAt = null } = p.change;
    this.#statements.update.run(definitionText(definition), sealedRequest, anchorAt, paused, nextAt, row.schedule);
    this.#tx.bind(p.idempotency, p.scheduleId);
    const { scheduleId, createdBy, createdAt } = toSchedule(row);
    return { outcome: 'applied', schedule: { scheduleId, createdBy, createdAt, ...p.change } };
  }

  remove(p: Parameters<ScheduleStore['deleteSchedule']>[0]): Awaited<ReturnType<ScheduleStore['deleteSchedule']>> {
    const refusal = refusalOf(this.#tx, p);
    if (refusal !== undefined) return repeatedDeletion(refusal);
    const row = this.#statements.find.get(p.scheduleId);
    if (row === undefined || isOfAnother(row, p.createdBy)) return { outcome: 'not_found' };
    this.#statements.removeRuns.run(row.schedule);
    this.#statements.remove.run(row.schedule);
    const schedule = toSchedule(row);
    this.#tx.bind(p.idempotency, deletedText(schedule));
    return { outcome: 'applied', schedule };
  }

  begin({ run, nextAt, keep }: Parameters<ScheduleStore['beginRun']>[0]): 'begun' | 'stale' {
    const { scheduleId, dueAt, decidedAt, outcome, reason = null } = run;
    const { changes } = this.#statements.moveOn.run(nextAt ?? null, scheduleId, dueAt);
    if (changes === 0) return 'stale';
    const { changes: taken } = this.#statements.insertRun.run(dueAt, decidedAt, outcome, reason, scheduleId);
    if (taken === 0) return 'stale';
    this.#statements.forget.run({ scheduleId, keep });
    return 'begun';
  }

  decide({ run, now }: Parameters<ScheduleStore['decideRun']>[0]): 'decided' | 'stale' {
    const { scheduleId, dueAt, outcome, reason = null, batchId = null } = run;
    const { changes } = this.#statements.decide.run(outcome, reason, batchId, now, scheduleId, dueAt);
    return changes === 1 ? 'decided' : 'stale';
  }
}

/** The schedules of the store. */
export function scheduleMethods(context: Context): ScheduleStore {
  const { write } = context;
  const table = new ScheduleTable(context);
  const { list, listOf, due, nextAt, moveOn, runs, open, lastBatch } = table.statements;
  return {
    createSchedule: (p) => write(() => table.create(p), p.schedule.sealedRequest.length),
    getSchedule: ({ scheduleId }) => read(() => table.found(scheduleId)),
    listSchedules: ({ createdBy, limit, after = NEWEST }) =>
      read(() => {
        const rows = createdBy === undefined ? list.all(after, limit + 1) : listOf.all(createdBy, after, limit + 1);
        return toPage(rows, limit, (row) => row.schedule, toSchedule);
      }),
    updateSchedule: (p) => write(() => table.update(p), p.change.sealedRequest.length),
    deleteSchedule: (p) => write(() => table.remove(p)),
    listDueSchedules: ({ now, limit }) => read(() => ({ now, items: due.all(now, limit).map(toDue) })),
    nextScheduleAt: () => read(() => nextAt.get() ?? undefined),
    beginRun: (p) => write(() => table.begin(p)),
    decideRun: (p) => write(() => table.decide(p)),
    listRuns: ({ scheduleId, limit, after = NEWEST }) =>
      read(() => toPage(runs.all(scheduleId, after, limit + 1), limit, (row) => row.run, toRun)),
    moveNextTick: ({ scheduleId, from, to }) => write(() => void moveOn.run(to, scheduleId, from)),
    listOpenRuns: ({ limit, after = 0 }) =>
      read(() => toPage(open.all(after, limit + 1), limit, (row) => row.run, toRun)),
    lastBatchOf: ({ scheduleId }) => read(() => lastBatch.get(scheduleId) ?? undefined),
  };
}
