/** Retention, expiry and counts. Autovacuum reuses the space of deleted rows, so `maintain` has nothing to do. */
import type { ExecutionStatus } from '../../core/execution.ts';
import type { CountStore, Machine, MaintenanceStore, MinuteCount, Statistics } from '../store.ts';
import type { Context } from './context.ts';

/** Bytes of requests and output of the executions deleted in one step, at most (except for the first). */
const DELETE_BYTES = 8 * 1024 * 1024;

/** Deletes the executions that ended first, and skips those that another server is deleting. */
const DELETE_FINISHED = `WITH finished AS (
    SELECT e.id, e.completed_at, e.stdout_kept + e.stderr_kept + octet_length(r.command) + octet_length(r.env_keys) AS bytes
    FROM executions e JOIN requests r ON r.execution_id = e.id
    WHERE e.completed_at < $1 ORDER BY e.completed_at, e.id LIMIT $2 FOR UPDATE OF e SKIP LOCKED),
  chosen AS (
    SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY completed_at, id) AS sum, bytes,
      row_number() OVER (ORDER BY completed_at, id) AS place FROM finished) f WHERE sum <= ${DELETE_BYTES} OR place = 1),
  log AS (DELETE FROM events WHERE execution_id IN (SELECT id FROM chosen))
  DELETE FROM executions WHERE id IN (SELECT id FROM chosen)`;
/** Uses an array, which is computed once: a subquery in IN may be run for each row, and its LIMIT applies to each run. */
const FORGET_KEYS = `DELETE FROM idempotency WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM idempotency WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`;
const FORGET_TOKENS = `DELETE FROM join_tokens WHERE id = ANY(ARRAY(
  SELECT id FROM join_tokens WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`;
const COUNT_EXECUTIONS = `SELECT status AS key, count(*) AS count, min(created_at) FILTER (WHERE dispatched_to IS NULL) AS oldest
  FROM executions WHERE completed_at IS NULL GROUP BY status`;
const COUNT_MACHINES = 'SELECT phase AS key, count(*) AS count FROM machines GROUP BY phase';

interface Count<Key> {
  key: Key;
  count: number;
}

/** The MaintenanceStore of PostgreSQL. */
export function maintenanceMethods({ read, transactions }: Context): MaintenanceStore {
  const remove = (text: string, values: unknown[]): Promise<number> =>
    transactions.run(async (connection) => (await connection.run({ text, values })).count);
  return {
    checkWritable: () =>
      transactions.run(async (connection) => {
        await connection.run({ text: 'UPDATE cluster SET last_tick = last_tick' });
      }),
    deleteFinished: ({ before, limit }) => remove(DELETE_FINISHED, [before, limit]),
    async forgetExpired({ now, limit }) {
      const keys = await remove(FORGET_KEYS, [now, limit]);
      return keys + (keys < limit ? await remove(FORGET_TOKENS, [now, limit - keys]) : 0);
    },
    maintain: async () => false,
    async usedBytes() {
      const [row] = await read<{ bytes: number }>({ text: 'SELECT pg_database_size(current_database()) AS bytes' });
      return row?.bytes ?? 0;
    },
    async statistics() {
      const [executions, machines] = await Promise.all([
        read<Count<ExecutionStatus> & { oldest: number | null }>({ text: COUNT_EXECUTIONS }),
        read<Count<Machine['phase']>>({ text: COUNT_MACHINES }),
      ]);
      const oldest = executions.flatMap((row) => row.oldest ?? []);
      return {
        executions: tally(executions) as Statistics['executions'],
        ...(oldest.length > 0 && { oldestWaitingAt: Math.min(...oldest) }),
        machines: tally(machines) as Statistics['machines'],
      };
    },
  };
}

function tally(counts: readonly Count<string>[]): Partial<Record<string, number>> {
  return Object.fromEntries(counts.map(({ key, count }) => [key, count]));
}

const ADD = `INSERT INTO counts (minute, name, count)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (minute, name, count) ORDER BY minute, name
  ON CONFLICT (minute, name) DO UPDATE SET count = counts.count + EXCLUDED.count`;
const LIST = `SELECT minute - minute % $2 AS minute, name, sum(count)::bigint AS count FROM counts
  WHERE minute >= $1 GROUP BY 1, 2 ORDER BY 1, 2`;

/** The counts for the charts of the console. */
export function countMethods({ read, transactions }: Context): CountStore {
  return {
    addCounts: ({ counts, forgetBefore }) =>
      transactions.run(async (connection) => {
        const summed = sumOf(counts);
        const values = [
          summed.map(({ minute }) => minute),
          summed.map(({ name }) => name),
          summed.map(({ count }) => count),
        ];
        await Promise.all([
          connection.run({ text: ADD, values }),
          connection.run({ text: 'DELETE FROM counts WHERE minute < $1', values: [forgetBefore] }),
        ]);
      }),
    listCounts: ({ from, step }) => read<MinuteCount>({ text: LIST, values: [from, step] }),
    async failingCallbacks() {
      const [row] = await read<{ count: number }>({
        text: 'SELECT count(*) AS count FROM callbacks WHERE attempt > 1',
      });
      return row?.count ?? 0;
    },
  };
}

/** Adds up counts of the same minute and name: a statement may not update a row twice. */
function sumOf(counts: readonly MinuteCount[]): MinuteCount[] {
  const groups = Map.groupBy(counts, ({ minute, name }) => `${minute} ${name}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ ...first, count: group.reduce((sum, { count }) => sum + count, 0) }];
  });
}
