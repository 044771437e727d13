/** `?label=`: turns the parameter into a selection of machines. */
import { type LabelSelector, parseSelector } from '../../../../core/machines/labels.ts';
import type { Store } from '../../../../store/store.ts';
import { invalid } from '../../replies/problem.ts';

const MAX_SELECTORS = 16;
/** Machines whose executions are read together. */
const MAX_SELECTED = 50_000;
const PAGE = 500;

/** Throws a 422 for a malformed label. */
export function readSelectors(labels: readonly string[] = []): LabelSelector[] {
  const selectors = labels.map(parseSelector).filter((selector) => selector !== undefined);
  if (selectors.length === labels.length && labels.length <= MAX_SELECTORS) return selectors;
  throw invalid([{ location: 'query.label', message: `must be key=value or key, at most ${MAX_SELECTORS} of them` }]);
}

/** Returns the ids of the machines that the labels select, among those that the key has access to. */
export async function selectedMachines(
  { store }: { store: Pick<Store, 'listMachines'> },
  labels: readonly LabelSelector[],
  machineIds?: readonly string[],
): Promise<string[]> {
  const selected: string[] = [];
  let after: number | undefined = 0;
  while (after !== undefined && selected.length < MAX_SELECTED) {
    const limits = machineIds === undefined ? {} : { machineIds };
    const page: Awaited<ReturnType<typeof store.listMachines>> = await store.listMachines({
      labels,
      limit: PAGE,
      after,
      ...limits,
    });
    selected.push(...page.items.map(({ machineId }) => machineId));
    after = page.next;
  }
  return selected;
}
