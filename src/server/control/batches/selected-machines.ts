/** Finds the machines that labels select. */
import type { LabelSelector } from '../../../core/machines/labels.ts';
import type { MachineStore } from '../../../store/store.ts';

/** Maximum number of selected machines. */
const MAX_SELECTED = 50_000;
const PAGE = 500;

/** Returns the ids of the machines that the labels select, among those that the key has access to. */
export async function selectedMachines(
  { store }: { store: Pick<MachineStore, 'listMachines'> },
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
