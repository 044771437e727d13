/** Batches, as they travel. */
import type { BatchWire } from '../../../api/batch.ts';
import type { Batch } from '../../../store/store.ts';
import { time } from './wire.ts';

/** `include`: the fields beyond those that every answer has. */
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
