import type { Batch } from '../../client/main.ts';

/** Counts the machines of a batch by status: `2 failed, 10 succeeded`. Executions that wait for their machine are `waiting`. */
export function countsText(counts: Batch['counts']): string {
  return Object.entries(counts)
    .filter(([, count]) => count !== undefined && count > 0)
    .map(([status, count]) => `${count} ${status === 'wake_in_progress' ? 'waiting' : status}`)
    .join(', ');
}
