/** Batches: one command on many machines. */
import { queryOptions } from '@tanstack/react-query';
import type { BatchWire } from '../../api/batch.ts';
import type { ExecutionStatus } from '../../core/execution-status.ts';
import { commandText } from './command.ts';
import { transport } from './client.ts';
import { BATCH } from '../../client/http/shapes.ts';

const LIVE_MS = 1000;

/** As in the API. Machines are counted by the status of their execution; `pending`: they have none yet. */
export type Batch = Omit<BatchWire, 'counts'> & { counts: Partial<Record<ExecutionStatus | 'pending', number>> };
export const BATCHES = '/v1/batches';

/** Path of a batch in the API. */
export function batchPath(batchId: string): string {
  return `${BATCHES}/${encodeURIComponent(batchId)}`;
}

/** The query of a batch, refreshed until it has ended. */
export function batchQuery(batchId: string) {
  return queryOptions({
    queryKey: ['batch', batchId],
    queryFn: ({ signal }): Promise<Batch> =>
      transport.json('GET', batchPath(batchId), BATCH, { query: { include: 'command' }, signal }),
    refetchInterval: ({ state }) => (state.data === undefined || state.data.status === 'running' ? LIVE_MS : false),
  });
}

/** Returns the command of a batch; its id while it has no execution. */
export function titleOf({ batch_id: id, command }: Batch): string {
  return command === undefined ? id : commandText(command);
}

/** The number of machines that a batch is for. */
export function machineCount({ counts }: Batch): number {
  return Object.values(counts).reduce<number>((sum, count = 0) => sum + count, 0);
}
