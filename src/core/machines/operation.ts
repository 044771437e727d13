/** The operations of a provider: one at a time for each machine, repeated until it succeeds or cannot succeed. */
import type { MachineState } from './machine.ts';

/** The operations that a provider can support. */
export const OPERATIONS = ['create', 'delete', 'wake', 'sleep', 'resize', 'describe'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The states of a machine in a provider's answers. */
export const PROVIDER_STATES = ['absent', 'pending', 'running', 'stopped'] as const;
/** The provider's last answer; unknown: a create was started and has not answered. */
export type ProviderState = (typeof PROVIDER_STATES)[number] | 'unknown';

/** The provider's next or present operation. */
export interface PendingOperation {
  /** Rises per machine: together with the machine's id it identifies the operation in every attempt. */
  number: number;
  name: Operation;
  /** Hooks started so far. */
  attempt: number;
  /** Whether its hook runs. */
  running: boolean;
  /** When the next hook may start, ms since the epoch. */
  dueAt: number;
  /** Number of creates and wakes in a row that the provider reported as done, and after which no agent connected. */
  restarts: number;
}

export type OperationEvent =
  | { type: 'operation_begun'; number: number }
  /** The server that ran the hook has stopped. */
  | { type: 'operation_interrupted' }
  | { type: 'operation_answered'; number: number; state: (typeof PROVIDER_STATES)[number]; expectedMs?: number }
  | { type: 'operation_failed'; number: number; message: string; retryable: boolean };
type EventOf<T extends OperationEvent['type']> = Extract<OperationEvent, { type: T }>;

/** Changes of a machine by an event; `undefined` clears a field. */
export type Changes = { [K in keyof MachineState]?: MachineState[K] | undefined };

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 300_000;
const FIRST_DESCRIBE_MS = 2000;
const MAX_DESCRIBE_MS = 30_000;
/** Number of describes, over a minute, that may not find a machine which was just started: some providers list a machine late. */
const MAX_NOT_FOUND = 5;

/** Whether an event of an operation concerns the machine's present operation in its present state. */
export function concerns(event: OperationEvent, operation: PendingOperation | undefined): boolean {
  if (operation === undefined) return false;
  if (event.type === 'operation_interrupted') return operation.running;
  return operation.number === event.number && operation.running === (event.type !== 'operation_begun');
}

/** Returns the changes of a machine by an event of its operation. */
export function operationChanges(state: MachineState, event: OperationEvent, now: number): Changes {
  const { operation } = state;
  if (operation === undefined) return {};
  switch (event.type) {
    case 'operation_begun':
      return {
        operation: { ...operation, running: true, attempt: operation.attempt + 1 },
        ...(operation.name === 'create' && state.providerState === 'absent' ? { providerState: 'unknown' } : {}),
      };
    case 'operation_interrupted':
      return { operation: { ...operation, running: false, dueAt: now } };
    case 'operation_answered':
      return answered(state, operation, event, now);
    case 'operation_failed':
      return failed(state, operation, event, now);
  }
}

/**
 * Returns the operation after an event: a running hook is completed, an operation that is still wanted continues, another one replaces
 * it.
 */
export function nextOperation(
  { operation, lastOperation }: MachineState,
  wanted: Operation | undefined,
  now: number,
): PendingOperation | undefined {
  if (operation?.running === true) return operation;
  if (wanted === undefined) return undefined;
  if (operation?.name === wanted) return operation;
  const restarts = restartsBefore(wanted, operation);
  const dueAt = now + firstPauseMs(wanted, restarts);
  return { number: lastOperation + 1, name: wanted, attempt: 0, running: false, dueAt, restarts };
}

/** Returns the creates and wakes in a row before the operation `wanted`, which follows `operation`. */
function restartsBefore(wanted: Operation, operation: PendingOperation | undefined): number {
  if (operation === undefined) return 0;
  const { name, restarts } = operation;
  if (wanted === 'describe') return isStart(name) ? restarts + 1 : restarts;
  return isStart(wanted) && name === 'describe' ? restarts : 0;
}

function isStart(name: Operation): boolean {
  return name === 'create' || name === 'wake';
}

/** A machine that is reported as started, and then as absent or stopped, is started again less and less often. */
function firstPauseMs(wanted: Operation, restarts: number): number {
  if (wanted === 'describe') return FIRST_DESCRIBE_MS;
  return restarts === 0 ? 0 : backoffMs(restarts, FIRST_RETRY_MS, MAX_RETRY_MS);
}

/** The states that may answer each operation. Any other answer means that the operation failed. */
const VALID_ANSWERS: Readonly<Record<Operation, readonly ProviderState[]>> = {
  create: ['pending', 'running', 'stopped'],
  wake: ['pending', 'running'],
  sleep: ['pending', 'stopped', 'absent'],
  delete: ['pending', 'absent'],
  resize: ['pending', 'running', 'stopped'],
  describe: PROVIDER_STATES,
};

function answered(
  state: MachineState,
  operation: PendingOperation,
  { number, state: answer, expectedMs }: EventOf<'operation_answered'>,
  now: number,
): Changes {
  if (!VALID_ANSWERS[operation.name].includes(answer)) {
    const message = `the provider answered "${answer}" to ${operation.name}`;
    return failed(state, operation, { type: 'operation_failed', number, message, retryable: true }, now);
  }
  const isLost = operation.restarts > 0 && state.desiredState === 'running' && ['absent', 'stopped'].includes(answer);
  const lost = `the provider answered "${answer}" to describe, after it had started the machine`;
  if (isLost && answer === 'absent' && operation.attempt <= MAX_NOT_FOUND)
    return failed(state, operation, { type: 'operation_failed', number, message: lost, retryable: true }, now);
  return {
    // An operation that continues (described again, a delete that is pending) keeps its number and slows down.
    operation: { ...operation, running: false, dueAt: nextAttemptAt(operation, now) },
    providerState: answer,
    lastError: isLost ? lost : undefined,
    failedForGood: false,
    ...(expectedMs === undefined ? {} : { expectedAt: now + expectedMs }),
    ...(operation.name === 'resize' ? { resizing: false } : {}),
  };
}

function failed(
  { agent }: MachineState,
  operation: PendingOperation,
  { message, retryable }: EventOf<'operation_failed'>,
  now: number,
): Changes {
  if (retryable) {
    return { operation: { ...operation, running: false, dueAt: nextAttemptAt(operation, now) }, lastError: message };
  }
  // A machine that cannot be resized keeps running unchanged, and so does one whose agent connected all the same.
  if (operation.name === 'resize') return { operation: undefined, lastError: message, resizing: false };
  return { operation: undefined, lastError: message, failedForGood: agent !== 'connected' };
}

/** Returns the time of the next attempt, with exponential backoff: 2 to 30 s for describe, 1 s to 5 min for any other operation. */
function nextAttemptAt({ name, attempt }: PendingOperation, now: number): number {
  const [first, longest] = name === 'describe' ? [FIRST_DESCRIBE_MS, MAX_DESCRIBE_MS] : [FIRST_RETRY_MS, MAX_RETRY_MS];
  return now + backoffMs(attempt, first, longest);
}

/** Returns the pause after the attempt `attempt`, counted from 1: twice the one before. */
function backoffMs(attempt: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
}
