/** Counts by minute. */
import type { CountStore, MinuteCount } from '../store.ts';
import { type Context, read } from './context.ts';

/** What the charts of the console are made of. */
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
