/** The queue of a machine: decides whether a new execution is admitted and sent at once, and gives dispatch numbers. */
import type { Execution, NewExecution } from '../execution.ts';
import {
  type ExecutionChange,
  ExecutionDraft,
  type ExecutionRecord,
  type LogEntry,
  statusEntry,
} from './execution-draft.ts';

/** The fields of a machine that decide on its queue. */
export interface MachineQueue {
  readonly key: number;
  readonly connected: boolean;
  readonly removed: boolean;
  /** Rises with each connection. */
  readonly epoch: number;
  readonly runnerInstance?: string;
  /** Executions that are neither dispatched nor ended, and bytes of their requests. */
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly lastDispatchNumber: number;
}

export interface QueueLimits {
  executions: number;
  /** No limit if undefined. */
  bytes: number | undefined;
}

/** A new execution, to be written. The store gives its key. */
export interface NewRecord extends Omit<ExecutionRecord, 'key'> {
  readonly entry: LogEntry;
}

type CreateDecision =
  | { outcome: 'machine_not_found' | 'machine_removed' | 'queue_full' }
  | { outcome: 'created'; record: NewRecord; queue: MachineQueue };

/** Returns the bytes that an execution counts for while it waits: argv, names, cwd, and its sealed input. */
export function queuedBytesOf({ command, envKeys, cwd = '', sealedInput }: NewExecution): number {
  let bytes = Buffer.byteLength(cwd) + 1 + (sealedInput?.length ?? 0);
  for (const argument of command) bytes += Buffer.byteLength(argument) + 1;
  for (const name of envKeys) bytes += Buffer.byteLength(name) + 1;
  return bytes;
}

/**
 * Decides on a create. With `dispatchTo` (a connection, identified by its epoch) the execution is dispatched at once if the machine still
 * has that connection and no older execution waits. The epoch is compared here, because an execution dispatched to a connection that has
 * ended would have to end as agent_lost.
 */
export function admit(p: {
  queue: MachineQueue | undefined;
  newExecution: NewExecution;
  limits: QueueLimits;
  dispatchTo: { runnerInstance: string; epoch: number } | undefined;
  now: number;
}): CreateDecision {
  const { queue, newExecution, limits, dispatchTo, now } = p;
  if (queue === undefined) return { outcome: 'machine_not_found' };
  if (queue.removed) return { outcome: 'machine_removed' };
  const queuedBytes = queuedBytesOf(newExecution);
  const atOnce = queue.connected && queue.waiting === 0 && dispatchTo?.epoch === queue.epoch;
  if (!atOnce && isFull(queue, queuedBytes, limits)) return { outcome: 'queue_full' };
  const record = newRecord(newExecution, { queue, queuedBytes, now });
  if (!atOnce) {
    const { waiting, waitingBytes } = queue;
    const longer = { ...queue, waiting: waiting + 1, waitingBytes: waitingBytes + queuedBytes };
    return { outcome: 'created', record, queue: longer };
  }
  const dispatchNumber = queue.lastDispatchNumber + 1;
  const execution = { ...record.execution, dispatchedTo: dispatchTo.runnerInstance, dispatchNumber };
  return {
    outcome: 'created',
    record: { ...record, execution },
    queue: { ...queue, lastDispatchNumber: dispatchNumber },
  };
}

/** Marks a waiting execution as dispatched under the machine's next number. Undefined if that is not allowed. */
export function dispatch(record: ExecutionRecord, queue: MachineQueue, now: number): ExecutionChange | undefined {
  const { runnerInstance, lastDispatchNumber } = queue;
  if (runnerInstance === undefined) return undefined;
  const draft = new ExecutionDraft(record);
  if (!draft.apply({ type: 'dispatched', runnerInstance }, now)) return undefined;
  draft.set({ dispatchNumber: lastDispatchNumber + 1 });
  return draft.change();
}

/** Returns the queue after a change of one of its machine's executions. */
export function queueAfter(queue: MachineQueue, { after, waiting }: ExecutionChange): MachineQueue {
  return {
    ...queue,
    waiting: queue.waiting + waiting,
    waitingBytes: queue.waitingBytes + waiting * after.queuedBytes,
    lastDispatchNumber: Math.max(queue.lastDispatchNumber, after.execution.dispatchNumber ?? 0),
  };
}

/** Whether a queue has no room. An execution that exceeds the limit alone is admitted to an empty queue: a body has its own limit. */
function isFull(queue: MachineQueue, bytes: number, limits: QueueLimits): boolean {
  if (queue.waiting >= limits.executions) return true;
  return limits.bytes !== undefined && queue.waiting > 0 && queue.waitingBytes + bytes > limits.bytes;
}

function newRecord(
  newExecution: NewExecution,
  p: { queue: MachineQueue; queuedBytes: number; now: number },
): NewRecord {
  const { sealedInput: _, ...request } = newExecution;
  const execution: Execution = {
    ...request,
    status: p.queue.connected ? 'queued' : 'wake_in_progress',
    createdAt: p.now,
    stdout: { bytes: 0, truncated: false },
    stderr: { bytes: 0, truncated: false },
    lastSequence: 1,
    reported: 0,
  };
  return {
    machineKey: p.queue.key,
    execution,
    kept: { stdout: 0, stderr: 0 },
    released: { stdout: 0, stderr: 0 },
    lastEventAt: p.now,
    queuedBytes: p.queuedBytes,
    entry: statusEntry(execution, p.now),
  };
}
