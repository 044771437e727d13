/** Batches, as they travel. */
import type { BatchWire } from '../../../api/batch.ts';
import type { Batch } from '../../../store/store.ts';
import { time } from './wire.ts';

export function batchWire({ batchId, status, command, counts, createdAt, completedAt }: Batch): BatchWire {
  return {
    batch_id: batchId,
    status,
    ...(command === undefined ? {} : { command: [...command] }),
    counts,
    created_at: time(createdAt),
    ...(completedAt === undefined ? {} : { completed_at: time(completedAt) }),
  };
}
