/** Times the lists of a small and a large database, and prints their p99. */
import type { Store } from '../src/store/store.ts';
import { listsOf } from '../test/store/every-list.ts';
import { percentile, say } from './rounds.ts';

export interface MeasuredStore {
  store: Store;
  size: { machines: number; executions: number };
  /** ms, by the name of the list. */
  times: Map<string, number[]>;
}

/** Reads a page of each list `samples` times from both databases in turns, so that noise of the machine affects all alike. Prints a line for each list. */
export async function compareLists(
  bench: string,
  p: { small: MeasuredStore; large: MeasuredStore; samples: number },
): Promise<void> {
  for (let sample = 0; sample < p.samples; sample += 1) for (const each of [p.small, p.large]) await timeLists(each);
  for (const [name, times] of p.small.times) {
    const few = percentile(times, 0.99);
    const many = percentile(p.large.times.get(name) ?? [], 0.99);
    say(bench, name, { small: few, large: many, ratio: many / few });
  }
}

async function timeLists({ store, size, times }: MeasuredStore): Promise<void> {
  for (const [name, list] of pagesOf(size)) {
    const from = performance.now();
    await list(store);
    const own = times.get(name) ?? [];
    own.push(performance.now() - from);
    times.set(name, own);
  }
}

/** The first page of each list, and a page in the middle of those that grow with the database. */
function pagesOf(size: MeasuredStore['size']): [name: string, list: (store: Store) => Promise<unknown>][] {
  const middle = (lists: RegExp, rows: number) =>
    Object.entries(listsOf({ limit: 50, after: rows / 2 }))
      .filter(([name]) => lists.test(name))
      .map(([name, list]): [string, typeof list] => [`${name}; in the middle`, list]);
  return [
    ...Object.entries(listsOf({ limit: 50 })),
    ...middle(/^machines/, size.machines),
    ...middle(/^(all executions|executions(?! of a batch)|audit)/, size.executions),
  ];
}
