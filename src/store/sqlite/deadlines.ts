/** What ends because its time is over. */
import type { DeadlineStore } from '../store.ts';
import { type Context, read } from './context.ts';
import { advanceAll, DISPATCHED, WAITING } from './dispatch.ts';
import { EXECUTION_COLUMNS, type ExecutionRow, SELECT_EXECUTION } from './execution-row.ts';

/** The deadlines of executions. */
export function deadlineMethods({ db, write, executions }: Context): DeadlineStore {
  const due = db.prepare<[number, number], ExecutionRow>(
    `${SELECT_EXECUTION} WHERE ${WAITING} AND e.expires_at <= ? ORDER BY e.expires_at LIMIT ?`,
  );
  const nextExpiry = db
    .prepare<[], number | null>(`SELECT min(e.expires_at) FROM executions e WHERE ${WAITING}`)
    .pluck();
  const abandoned = db.prepare<[number, number], ExecutionRow>(
    `SELECT ${EXECUTION_COLUMNS} FROM machines m CROSS JOIN executions e ON e.machine = m.machine CROSS JOIN requests r ON r.execution = e.execution
     WHERE m.away_since <= ? AND ${DISPATCHED} LIMIT ?`,
  );
  return {
    expireDue: ({ now, limit }) => write(() => advanceAll(executions, due.all(now, limit), { type: 'expired' }, now)),
    nextExpiry: () => read(() => nextExpiry.get() ?? undefined),
    markAbandonedLost: ({ awaySince, reason, now, limit }) =>
      write(() => advanceAll(executions, abandoned.all(awaySince, limit), { type: 'agent_lost', reason }, now)),
  };
}
