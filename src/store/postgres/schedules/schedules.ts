/** The schedules of a PostgreSQL database. Ticks are due by the clock of the database, and each is handled by one server. */
import { toPage } from '../../rows/page.ts';
import { type DueRow, type RunRow, toDue, toRun } from '../../rows/schedule-row.ts';
import type { ScheduleStore } from '../../store.ts';
import { administration, COLUMNS, NEWEST, type ScheduleDatabase } from './administration.ts';

const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';
const LAST_BATCH = `SELECT r.batch_public_id FROM schedule_runs r
  WHERE r.schedule_id = s.id AND r.outcome = 'started' ORDER BY r.id DESC LIMIT 1`;
const DUE = `SELECT ${COLUMNS}, (${LAST_BATCH}) AS last_batch, (EXISTS (SELECT 1 FROM schedule_runs r
    WHERE r.schedule_id = s.id AND r.outcome = 'queued'))::int AS queued
  FROM schedules s WHERE s.next_at <= $1 ORDER BY s.next_at LIMIT $2`;
const SELECT_RUN = `SELECT r.id AS run, s.public_id AS schedule_id, r.due_at, r.decided_at, r.outcome, r.reason,
  r.batch_public_id AS batch_id FROM schedule_runs r JOIN schedules s ON s.id = r.schedule_id`;
const MOVE_ON = 'UPDATE schedules SET next_at = $1 WHERE public_id = $2 AND next_at = $3';
const INSERT_RUN = `INSERT INTO schedule_runs (schedule_id, due_at, decided_at, outcome, reason)
  SELECT id, $2, $3, $4, $5 FROM schedules WHERE public_id = $1 ON CONFLICT DO NOTHING`;
const FORGET = `DELETE FROM schedule_runs WHERE schedule_id = (SELECT id FROM schedules WHERE public_id = $1)
  AND outcome NOT IN ('starting', 'queued') AND id <= (SELECT r.id FROM schedule_runs r JOIN schedules s ON s.id = r.schedule_id
    WHERE s.public_id = $1 ORDER BY r.id DESC LIMIT 1 OFFSET $2)`;
const SETTLE = `UPDATE schedule_runs SET outcome = $3, reason = $4, batch_public_id = $5, decided_at = $6
  WHERE schedule_id = (SELECT id FROM schedules WHERE public_id = $1) AND due_at = $2 AND outcome IN ('starting', 'queued')`;

/** The schedules of the store. */
export function scheduleMethods({ read, transactions }: ScheduleDatabase): ScheduleStore {
  return {
    ...administration({ read, transactions }),
    async listDueSchedules({ limit }) {
      const [clock] = await read<{ now: number }>({ text: `SELECT ${NOW} AS now` });
      const now = clock?.now ?? 0;
      const rows = await read<DueRow>({ name: 'due-schedules', text: DUE, values: [now, limit] });
      return { now, items: rows.map(toDue) };
    },
    async nextScheduleAt() {
      const [row] = await read<{ at: number | null }>({ text: 'SELECT min(next_at) AS at FROM schedules' });
      return row?.at ?? undefined;
    },
    beginRun: ({ run, nextAt, keep }) =>
      transactions.run(async (connection) => {
        const { scheduleId, dueAt, decidedAt, outcome, reason } = run;
        const { count } = await connection.run({ text: MOVE_ON, values: [nextAt, scheduleId, dueAt] });
        if (count === 0) return 'stale';
        const taken = await connection.run({
          text: INSERT_RUN,
          values: [scheduleId, dueAt, decidedAt, outcome, reason],
        });
        if (taken.count === 0) return 'stale';
        await connection.run({ text: FORGET, values: [scheduleId, keep] });
        return 'begun';
      }),
    decideRun: ({ run, now }) =>
      transactions.run(async (connection) => {
        const { scheduleId, dueAt, outcome, reason, batchId } = run;
        const values = [scheduleId, dueAt, outcome, reason, batchId, now];
        const { count } = await connection.run({ text: SETTLE, values });
        return count === 1 ? 'decided' : 'stale';
      }),
    async listRuns({ scheduleId, limit, after = NEWEST }) {
      const text = `${SELECT_RUN} WHERE s.public_id = $1 AND r.id < $2 ORDER BY r.id DESC LIMIT $3`;
      const rows = await read<RunRow>({ text, values: [scheduleId, after, limit + 1] });
      return toPage(rows, limit, (row) => row.run, toRun);
    },
    moveNextTick: ({ scheduleId, from, to }) =>
      transactions.run(async (connection) => {
        await connection.run({ text: MOVE_ON, values: [to, scheduleId, from] });
      }),
    async listOpenRuns({ limit, after = 0 }) {
      const text = `${SELECT_RUN} WHERE r.outcome IN ('starting', 'queued') AND r.id > $1 ORDER BY r.id LIMIT $2`;
      const rows = await read<RunRow>({ text, values: [after, limit + 1] });
      return toPage(rows, limit, (row) => row.run, toRun);
    },
    async lastBatchOf({ scheduleId }) {
      const text = `SELECT (${LAST_BATCH}) AS batch FROM schedules s WHERE s.public_id = $1`;
      const [row] = await read<{ batch: string | null }>({ text, values: [scheduleId] });
      return row?.batch ?? undefined;
    },
  };
}
