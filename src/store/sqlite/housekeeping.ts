/** Retention, expiry of what only serves retries, and counts for metrics. */
import type { ExecutionStatus } from '../../core/execution.ts';
import type { Machine, Store } from '../store.ts';
import { type Context, read } from './context.ts';

type Methods = Pick<Store, 'deleteFinished' | 'forgetExpired' | 'statistics'>;

/**
 * Output deleted in one transaction, at most (but for the first execution): deleting overwrites every page, so that much more
 * would hold up the creates behind it.
 */
const DELETE_BYTES = 8 * 1024 * 1024;

interface Finished {
  execution: number;
  bytes: number;
}

interface Count<Key> {
  key: Key;
  count: number;
}

/** What the server does on a timer. */
export function housekeepingMethods({ db, write }: Context): Methods {
  const finished = db.prepare<[number, number], Finished>(
    `SELECT execution, stdout_kept + stderr_kept AS bytes FROM executions
     WHERE completed_at < ? ORDER BY completed_at LIMIT ?`,
  );
  const deletions = [
    'DELETE FROM chunks WHERE chunk IN (SELECT chunk FROM events WHERE execution = ? AND chunk IS NOT NULL)',
    'DELETE FROM events WHERE execution = ?',
    'DELETE FROM callbacks WHERE execution = ?',
    'DELETE FROM requests WHERE execution = ?',
    'DELETE FROM executions WHERE execution = ?',
  ].map((sql) => db.prepare(sql));
  const forget = [
    `DELETE FROM idempotency WHERE (api_key_id, key) IN
       (SELECT api_key_id, key FROM idempotency WHERE expires_at <= ? LIMIT ?)`,
    'DELETE FROM join_tokens WHERE join_token IN (SELECT join_token FROM join_tokens WHERE expires_at <= ? LIMIT ?)',
  ].map((sql) => db.prepare(sql));
  const waiting = db.prepare<[], Count<ExecutionStatus> & { oldest: number }>(
    `SELECT status AS key, count(*) AS count, min(created_at) AS oldest FROM executions
     WHERE dispatched_to IS NULL AND completed_at IS NULL GROUP BY status`,
  );
  const dispatched = db.prepare<[], Count<ExecutionStatus>>(
    `SELECT status AS key, count(*) AS count FROM executions INDEXED BY executions_dispatched
     WHERE dispatched_to IS NOT NULL AND completed_at IS NULL GROUP BY status`,
  );
  const machines = db.prepare<[], Count<Machine['phase']>>(
    'SELECT phase AS key, count(*) AS count FROM machines GROUP BY phase',
  );

  function deleteFinished(before: number, limit: number): number {
    let bytes = 0;
    let deleted = 0;
    for (const { execution, bytes: output } of finished.all(before, limit)) {
      bytes += output;
      if (deleted > 0 && bytes > DELETE_BYTES) break;
      for (const deletion of deletions) deletion.run(execution);
      deleted += 1;
    }
    return deleted;
  }

  return {
    deleteFinished: ({ before, limit }) => write(() => deleteFinished(before, limit), DELETE_BYTES),
    forgetExpired: ({ now, limit }) =>
      write(() =>
        forget.reduce((done, statement) => done + (done < limit ? statement.run(now, limit - done).changes : 0), 0),
      ),
    statistics: () =>
      read(() => {
        const waits = waiting.all();
        const oldest = waits.map((row) => row.oldest);
        return {
          executions: tally([...waits, ...dispatched.all()]),
          ...(oldest.length === 0 ? {} : { oldestWaitingAt: Math.min(...oldest) }),
          machines: tally(machines.all()),
        };
      }),
  };
}

function tally<Key extends string>(counts: readonly Count<Key>[]): Partial<Record<Key, number>> {
  const totals: Partial<Record<Key, number>> = {};
  for (const { key, count } of counts) totals[key] = (totals[key] ?? 0) + count;
  return totals;
}
