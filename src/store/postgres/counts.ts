/** Counts by minute. */
import type { CountStore, MinuteCount } from '../store.ts';
import type { Context } from './context.ts';

const ADD = `INSERT INTO counts (minute, name, count)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS t (minute, name, count) ORDER BY minute, name
  ON CONFLICT (minute, name) DO UPDATE SET count = counts.count + EXCLUDED.count`;
const LIST = `SELECT minute - minute % $2 AS minute, name, sum(count)::bigint AS count FROM counts
  WHERE minute >= $1 GROUP BY 1, 2 ORDER BY 1, 2`;

/** What the charts of the console are made of. */
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

/** One for each minute and name: a statement updates no row twice. */
function sumOf(counts: readonly MinuteCount[]): MinuteCount[] {
  const groups = Map.groupBy(counts, ({ minute, name }) => `${minute} ${name}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ ...first, count: group.reduce((sum, { count }) => sum + count, 0) }];
  });
}
