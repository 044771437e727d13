/** Converts batches to the API's form. */
import type { BatchWire } from '../../../api/batch.ts';
import type { Batch } from '../../../store/store.ts';
import { time } from './wire.ts';

/** Converts a batch. `include`: additional fields. */
export function batchWire(batch: Batch, include: readonly 'command'[] = []): BatchWire {
  const { batchId, status, command, counts, createdAt, completedAt } = batch;
  return {
    batch_id: batchId,
    status,
    ...(command === undefined || !include.includes('command') ? {} : { command: [...command] }),
    counts,
    created_at: time(createdAt),
    ...(completedAt === undefined ? {} : { completed_at: time(completedAt) }),
  };
}
