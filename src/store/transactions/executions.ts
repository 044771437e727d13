/** Use cases of callers: creating and cancelling executions, binding Idempotency-Keys. */
import { ExecutionDraft } from '../../core/decisions/execution-draft.ts';
import { admit } from '../../core/decisions/queue.ts';
import { wakeByUse } from './machines.ts';
import type { CancelOutcome, CreateOutcome, ExecutionStore, ExistingExecution } from '../roles/executions.ts';
import type { IdempotencyStore } from '../roles/idempotency.ts';
import { refusalOf } from './retries.ts';
import type { Transaction } from './transaction.ts';

/** Creates an execution, or returns the refusal, the replay, or the execution that an earlier attempt has made. */
export function createExecution(
  tx: Transaction,
  p: Parameters<ExecutionStore['createExecution']>[0],
): CreateOutcome | ExistingExecution {
  const existing = p.mayExist === true ? tx.execution(p.execution.executionId) : undefined;
  if (existing !== undefined) return { outcome: 'existing', execution: existing.execution };
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const create = {
    newExecution: p.execution,
    limits: { executions: p.queueLimit, bytes: p.queueBytes },
    dispatchTo: p.dispatchTo,
    now: p.now,
  };
  const queue = tx.queue(p.execution.machineId);
  let decision = admit({ queue, ...create });
  if (decision.outcome !== 'created') return decision;
  if (queue?.connected === false && wakeByUse(tx, p)) {
    decision = admit({ queue: tx.queue(p.execution.machineId), ...create });
    if (decision.outcome !== 'created') return decision;
  }
  tx.insert(decision.record, p.execution, decision.queue);
  tx.bind(p.idempotency, p.execution.executionId);
  return { outcome: 'created', execution: decision.record.execution };
}

/** Cancels a waiting execution, or marks a dispatched one. */
export function requestCancel(tx: Transaction, p: Parameters<ExecutionStore['requestCancel']>[0]): CancelOutcome {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  const record = tx.execution(p.executionId);
  if (record?.execution.machineId !== p.machineId) return { outcome: 'not_found' };
  tx.bind(p.idempotency, p.executionId);
  const draft = new ExecutionDraft(record);
  if (!draft.apply({ type: 'cancel_requested' }, p.now)) return { outcome: 'stale', execution: record.execution };
  draft.set({ cancelledBy: p.by });
  tx.save(draft.change());
  return { outcome: 'applied', execution: draft.execution };
}

/** Binds an Idempotency-Key to a resource, or returns its replay. */
export function bindIdempotency(
  tx: Transaction,
  p: Parameters<IdempotencyStore['bindIdempotency']>[0],
): Awaited<ReturnType<IdempotencyStore['bindIdempotency']>> {
  const refusal = refusalOf(tx, p);
  if (refusal !== undefined) return refusal;
  tx.bind(p.idempotency, p.resource);
  return { outcome: 'bound' };
}
