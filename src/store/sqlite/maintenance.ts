/** Expiry of rows that only serve retries, counts for metrics, and counts by minute for charts. */
import type { ExecutionStatus } from '../../core/execution.ts';
import type { CountStore, Machine, MaintenanceStore, MinuteCount } from '../store.ts';
import { type Context, read } from './tables/context.ts';

type Methods = Pick<MaintenanceStore, 'checkWritable' | 'forgetExpired' | 'statistics'>;

interface Count<Key> {
  key: Key;
  count: number;
}

/** The server's periodic maintenance, except retention (retention.ts). */
export function maintenanceMethods({ db, write }: Context): Methods {
  const forget = [
    `DELETE FROM idempotency WHERE (api_key, key) IN
       (SELECT api_key, key FROM idempotency WHERE expires_at <= ? LIMIT ?)`,
    'DELETE FROM join_tokens WHERE id IN (SELECT id FROM join_tokens WHERE expires_at <= ? LIMIT ?)',
  ].map((sql) => db.prepare(sql));
  const waiting = db.prepare<[], Count<ExecutionStatus> & { oldest: number }>(
    `SELECT status AS key, count(*) AS count, min(created_at) AS oldest FROM executions INDEXED BY executions_alive
     WHERE dispatch_number IS NULL AND completed_at IS NULL GROUP BY status`,
  );
  const dispatched = db.prepare<[], Count<ExecutionStatus>>(
    `SELECT status AS key, count(*) AS count FROM executions INDEXED BY executions_alive
     WHERE dispatch_number > 0 AND completed_at IS NULL GROUP BY status`,
  );
  const machines = db.prepare<[], Count<Machine['phase']>>(
    'SELECT phase AS key, count(*) AS count FROM machines GROUP BY phase',
  );

  const probe = db.prepare('UPDATE write_probe SET touched = touched + 1');
  return {
    checkWritable: () => write(() => void probe.run()),
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

/** The counts for the charts of the console. */
export function countMethods({ db, write }: Context): CountStore {
  const add = db.prepare<[number, string, number]>(
    `INSERT INTO counts (minute, name, count) VALUES (?, ?, ?)
     ON CONFLICT (minute, name) DO UPDATE SET count = count + excluded.count`,
  );
  const forget = db.prepare<[number]>('DELETE FROM counts WHERE minute < ?');
  const list = db.prepare<{ from: number; step: number }, MinuteCount>(
    `SELECT minute - minute % $step AS minute, name, sum(count) AS count FROM counts
     WHERE minute >= $from GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  const failing = db.prepare<[], number>('SELECT count(*) FROM callbacks WHERE attempt > 1').pluck();
  return {
    addCounts: ({ counts, forgetBefore }) =>
      write(() => {
        for (const { minute, name, count } of counts) add.run(minute, name, count);
        forget.run(forgetBefore);
      }),
    listCounts: (p) => read(() => list.all(p)),
    failingCallbacks: () => read(() => failing.get() ?? 0),
  };
}
