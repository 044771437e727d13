/** The outbox of callbacks: a row is written in the transaction that ends its execution (transaction.ts). */
import { toWaitingCallback, type WaitingCallbackRow } from '../rows/callback-row.ts';
import { toPage } from '../rows/page.ts';
import type { CallbackStore } from '../store.ts';
import { type Context, read } from './tables/context.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { EXECUTION_COLUMNS } from './tables/select-execution.ts';

interface Row extends ExecutionRow {
  callback_id: number;
  attempt: number;
  outbox_created_at: number;
}

/** Callbacks to deliver. `attempt` counts from 1. */
export function callbackMethods({ db, write }: Context): CallbackStore {
  const due = db.prepare<[number, number], Row>(
    `SELECT ${EXECUTION_COLUMNS}, o.id AS callback_id, o.attempt, o.created_at AS outbox_created_at
     FROM callbacks o CROSS JOIN executions e ON e.id = o.execution_id
     CROSS JOIN machines m ON m.id = e.machine_id CROSS JOIN requests r ON r.execution_id = e.id
     WHERE o.due_at <= ? ORDER BY o.due_at, o.id LIMIT ?`,
  );
  const putOff = db.prepare('UPDATE callbacks SET attempt = attempt + 1, due_at = ? WHERE id = ?');
  const retry = db.prepare('UPDATE callbacks SET due_at = ? WHERE id = ?');
  const finish = db.prepare('DELETE FROM callbacks WHERE id = ?');
  const next = db.prepare<[], number | null>('SELECT min(due_at) FROM callbacks').pluck();

  const waiting = db.prepare<[number, number], WaitingCallbackRow>(
    `SELECT o.id, m.public_id AS machine_public_id, e.public_id AS execution_public_id, r.callback_url, o.attempt, o.created_at, o.due_at
     FROM callbacks o CROSS JOIN executions e ON e.id = o.execution_id
     CROSS JOIN machines m ON m.id = e.machine_id CROSS JOIN requests r ON r.execution_id = e.id
     WHERE o.id < ? ORDER BY o.id DESC LIMIT ?`,
  );

  return {
    listCallbacks: ({ limit, after = Number.MAX_SAFE_INTEGER }) =>
      read(() => toPage(waiting.iterate(after, limit + 1), limit, (row) => row.id, toWaitingCallback)),
    claimCallbacks: ({ now, retryAt, limit }) =>
      write(() =>
        due.all(now, limit).map((row) => {
          putOff.run(retryAt, row.callback_id);
          return {
            callbackId: row.callback_id,
            attempt: row.attempt + 1,
            createdAt: row.outbox_created_at,
            url: row.callback_url ?? '',
            execution: toExecution(row),
          };
        }),
      ),
    finishCallback: ({ callbackId }) => write(() => void finish.run(callbackId)),
    retryCallback: ({ callbackId, at }) => write(() => void retry.run(at, callbackId)),
    nextCallback: () => read(() => next.get() ?? undefined),
  };
}
