/** The outbox of callbacks: a row is written in the transaction that ends its execution (flush.ts). */
import { toWaitingCallback, type WaitingCallbackRow } from '../rows/callback-row.ts';
import { type ExecutionRow, toExecution } from '../rows/execution-row.ts';
import { toPage } from '../rows/page.ts';
import type { CallbackStore } from '../store.ts';
import type { Context } from './context.ts';
import { EXECUTION_COLUMNS, EXECUTION_TABLES } from './statements/select-execution.ts';

type Row = ExecutionRow & { callback_id: number; attempt: number; outbox_created_at: number };

/** Callbacks that another server is claiming are skipped. */
const CLAIM = `WITH claimed AS (
    UPDATE callbacks SET attempt = attempt + 1, due_at = $2
    WHERE id = ANY(ARRAY(
      SELECT id FROM callbacks WHERE due_at <= $1 ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED))
    RETURNING id, execution_id, attempt, created_at)
  SELECT ${EXECUTION_COLUMNS}, o.id AS callback_id, o.attempt, o.created_at AS outbox_created_at
  FROM claimed o JOIN ${EXECUTION_TABLES} ON e.id = o.execution_id ORDER BY o.created_at, o.id`;

const WAITING = `SELECT o.id, m.public_id AS machine_public_id, e.public_id AS execution_public_id, r.callback_url, o.attempt,
    o.created_at, o.due_at
  FROM callbacks o JOIN ${EXECUTION_TABLES} ON e.id = o.execution_id WHERE o.id < $1 ORDER BY o.id DESC LIMIT $2`;

/** Callbacks to deliver. `attempt` counts from 1. */
export function callbackMethods({ read, transactions }: Context): CallbackStore {
  const write = (text: string, values: unknown[]): Promise<void> =>
    transactions.run(async (connection) => {
      await connection.run({ text, values });
    });
  return {
    async listCallbacks({ limit, after = Number.MAX_SAFE_INTEGER }) {
      const rows = await read<WaitingCallbackRow>({ text: WAITING, values: [after, limit + 1] });
      return toPage(rows, limit, (row) => row.id, toWaitingCallback);
    },
    async claimCallbacks({ now, retryAt, limit }) {
      const statement = { text: CLAIM, values: [now, retryAt, limit] };
      const rows = await transactions.run((connection) => connection.query<Row>(statement));
      return rows.map((row) => ({
        callbackId: row.callback_id,
        attempt: row.attempt,
        createdAt: row.outbox_created_at,
        url: row.callback_url ?? '',
        execution: toExecution(row),
      }));
    },
    finishCallback: ({ callbackId }) => write('DELETE FROM callbacks WHERE id = $1', [callbackId]),
    retryCallback: ({ callbackId, at }) => write('UPDATE callbacks SET due_at = $1 WHERE id = $2', [at, callbackId]),
    async nextCallback() {
      const [row] = await read<{ at: number | null }>({ text: 'SELECT min(due_at) AS at FROM callbacks' });
      return row?.at ?? undefined;
    },
  };
}
