/** Creates, finds, changes and deletes schedules in PostgreSQL. */
import { toPage } from '../../rows/page.ts';
import {
  definitionText,
  deletedText,
  isOfAnother,
  repeatedDeletion,
  type ScheduleRow,
  toSchedule,
} from '../../rows/schedule-row.ts';
import type { ScheduleStore } from '../../store.ts';
import type { Connection } from '../connections/connection.ts';
import type { Readers } from '../connections/slots.ts';
import type { Transactions } from '../connections/transactions.ts';
import { guarded } from '../writers/guarded.ts';

/** The connections that the statements use: one pool to read, transactions to write. */
export interface ScheduleDatabase {
  read: Readers['query'];
  transactions: Transactions;
}

export const NEWEST = Number.MAX_SAFE_INTEGER;
export const COLUMNS = `s.id AS schedule, s.public_id AS schedule_id, s.definition, s.sealed_request, s.created_by, s.created_at,
  s.anchor_at, s.paused, s.next_at`;
const SELECT = `SELECT ${COLUMNS} FROM schedules s`;
const INSERT = `INSERT INTO schedules
  (public_id, definition, sealed_request, created_by, created_at, anchor_at, paused, next_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;
const UPDATE = `UPDATE schedules SET definition = $2, sealed_request = $3, anchor_at = $4, paused = $5, next_at = $6
  WHERE id = $1`;

type Administration = Pick<
  ScheduleStore,
  'createSchedule' | 'getSchedule' | 'listSchedules' | 'updateSchedule' | 'deleteSchedule'
>;

export function administration({ read, transactions }: ScheduleDatabase): Administration {
  return {
    createSchedule: (p) =>
      transactions.run((connection) =>
        guarded(connection, { ...p, resource: p.schedule.scheduleId }, async () => {
          const { scheduleId, definition, sealedRequest, createdBy, anchorAt, paused, nextAt } = p.schedule;
          const values = [
            scheduleId,
            definitionText(definition),
            sealedRequest,
            createdBy,
            p.now,
            anchorAt,
            paused,
            nextAt,
          ];
          await connection.run({ text: INSERT, values });
          return { outcome: 'created', schedule: { ...p.schedule, createdAt: p.now } } as const;
        }),
      ),
    async getSchedule({ scheduleId }) {
      const [row] = await read<ScheduleRow>({ text: `${SELECT} WHERE s.public_id = $1`, values: [scheduleId] });
      return row && toSchedule(row);
    },
    async listSchedules({ createdBy, limit, after = NEWEST }) {
      const [of, values] = createdBy === undefined ? ['', []] : ['AND s.created_by = $3', [createdBy]];
      const text = `${SELECT} WHERE s.id < $1 ${of} ORDER BY s.id DESC LIMIT $2`;
      const rows = await read<ScheduleRow>({ text, values: [after, limit + 1, ...values] });
      return toPage(rows, limit, (row) => row.schedule, toSchedule);
    },
    updateSchedule: (p) =>
      transactions.run((connection) =>
        guarded(connection, { ...p, resource: p.scheduleId }, async () => {
          const row = await lock(connection, p.scheduleId);
          if (row === undefined) return { outcome: 'not_found' } as const;
          const { definition, sealedRequest, anchorAt, paused, nextAt } = p.change;
          const values = [row.schedule, definitionText(definition), sealedRequest, anchorAt, paused, nextAt];
          await connection.run({ text: UPDATE, values });
          const { scheduleId, createdBy, createdAt } = toSchedule(row);
          return { outcome: 'applied', schedule: { scheduleId, createdBy, createdAt, ...p.change } } as const;
        }),
      ),
    async deleteSchedule(p) {
      const done = await transactions.run((connection) =>
        guarded(connection, { ...p, resource: p.scheduleId }, async (bindTo) => {
          const row = await lock(connection, p.scheduleId);
          if (row === undefined || isOfAnother(row, p.createdBy)) return { outcome: 'not_found' } as const;
          await connection.run({ text: 'DELETE FROM schedules WHERE id = $1', values: [row.schedule] });
          const schedule = toSchedule(row);
          bindTo(deletedText(schedule));
          return { outcome: 'applied', schedule } as const;
        }),
      );
      return done.outcome === 'applied' || done.outcome === 'not_found' ? done : repeatedDeletion(done);
    },
  };
}

async function lock(connection: Connection, scheduleId: string): Promise<ScheduleRow | undefined> {
  const text = `${SELECT} WHERE s.public_id = $1 FOR UPDATE`;
  const [row] = await connection.query<ScheduleRow>({ text, values: [scheduleId] });
  return row;
}
