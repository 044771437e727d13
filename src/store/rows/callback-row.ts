/** Converts between a waiting callback and its row. */
import type { WaitingCallback } from '../store.ts';

export interface WaitingCallbackRow {
  id: number;
  machine_public_id: string;
  execution_public_id: string;
  callback_url: string | null;
  attempt: number;
  created_at: number;
  due_at: number;
}

/** Returns the callback of a row. */
export function toWaitingCallback(row: WaitingCallbackRow): WaitingCallback {
  return {
    callbackId: row.id,
    machineId: row.machine_public_id,
    executionId: row.execution_public_id,
    url: row.callback_url ?? '',
    attempts: row.attempt,
    createdAt: row.created_at,
    dueAt: row.due_at,
  };
}
