/** Times the lists of a small and a large database, and prints their p99. */
import type { Store } from '../src/store/store.ts';
import { listsOf } from '../test/store/every-list.ts';
import { percentile, say } from './rounds.ts';

export interface MeasuredStore {
  store: Store;
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

async function timeLists({ store, times }: MeasuredStore): Promise<void> {
  for (const [name, list] of Object.entries(listsOf({ limit: 50 }))) {
    const from = performance.now();
    await list(store);
    const own = times.get(name) ?? [];
    own.push(performance.now() - from);
    times.set(name, own);
  }
}
