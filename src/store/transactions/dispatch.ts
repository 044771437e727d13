/** Use cases of agents: claiming executions, and ending them without a report. */
import { advance, type ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import { dispatch, type MachineQueue } from '../../core/decisions/queue.ts';
import type { Execution, ExecutionInput } from '../../core/execution.ts';
import type { Dispatch, DispatchStore, Fenced } from '../roles/dispatch.ts';
import type { Transaction } from './transaction.ts';

type Request<Method extends keyof DispatchStore> = Parameters<DispatchStore[Method]>[0];
type Answer<Method extends keyof DispatchStore> = Awaited<ReturnType<DispatchStore[Method]>>;

/** Marks the oldest waiting executions for the machine's connection, under rising dispatch numbers. */
export function claimQueued(tx: Transaction, p: Request<'claimQueued'>): Answer<'claimQueued'> {
  return fenced(tx, p, () => ({
    dispatches: tx.claimable(p).flatMap((record): Dispatch[] => {
      const queue = tx.queue(p.machineId);
      const change = queue && dispatch(record, queue, p.now);
      if (change === undefined) return [];
      tx.save(change);
      return [withInput(tx, change.after)];
    }),
  }));
}

/** Ends executions whose start never arrived and that were cancelled or have expired. */
export function endUndelivered(tx: Transaction, p: Request<'endUndelivered'>): Answer<'endUndelivered'> {
  return fenced(tx, p, () => ({ ended: advanceEach(tx, p.executionIds, { type: 'undelivered' }, p.now) }));
}

/** Ends executions as agent_lost. */
export function markLost(tx: Transaction, p: Request<'markLost'>): Answer<'markLost'> {
  const input: ExecutionInput = { type: 'agent_lost', reason: p.reason };
  return fenced(tx, p, () => ({ ended: advanceEach(tx, p.executionIds, input, p.now) }));
}

/** Moves executions that waited for the machine to queued. */
export function wakeWaiting(tx: Transaction, p: Request<'wakeWaiting'>): Answer<'wakeWaiting'> {
  return fenced(tx, p, () => ({ woken: advanceAll(tx, tx.waking(p), { type: 'machine_connected' }, p.now) }));
}

/** Applies one input to several executions. Returns those that changed. */
export function advanceAll(
  tx: Transaction,
  records: readonly ExecutionRecord[],
  input: ExecutionInput,
  now: number,
): Execution[] {
  return records.flatMap((record) => {
    const change = advance(record, input, now);
    if (change === undefined) return [];
    tx.save(change);
    return [change.after.execution];
  });
}

function advanceEach(
  tx: Transaction,
  executionIds: readonly string[],
  input: ExecutionInput,
  now: number,
): Execution[] {
  return executionIds.flatMap((executionId) => {
    const record = tx.execution(executionId);
    return record === undefined ? [] : advanceAll(tx, [record], input, now);
  });
}

/** Adds the sealed input to an execution. */
export function withInput(tx: Pick<Transaction, 'sealedInput'>, record: ExecutionRecord): Dispatch {
  const { execution } = record;
  const sealedInput = tx.sealedInput(record);
  return sealedInput === undefined ? { execution } : { execution, sealedInput };
}

/** Runs `work` if `epoch` is that of the machine's present connection. */
function fenced<T>(tx: Transaction, p: { machineId: string; epoch: number }, work: () => T): Fenced<T> {
  return isPresent(tx.queue(p.machineId), p.epoch) ? { outcome: 'applied', ...work() } : { outcome: 'stale' };
}

function isPresent(queue: MachineQueue | undefined, epoch: number): boolean {
  return queue?.connected === true && queue.epoch === epoch;
}
