/** What a provider is asked to do with a machine: one operation at a time, tried until it is done or cannot be. */
import type { MachineState } from './machine.ts';

/** What a provider can be asked to do. */
export const OPERATIONS = ['create', 'delete', 'wake', 'sleep', 'resize', 'describe'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Where a machine can be, as its provider says. */
export const PROVIDER_STATES = ['absent', 'pending', 'running', 'stopped'] as const;
/** As the provider said last; unknown: a create was begun and has not answered. */
export type ProviderState = (typeof PROVIDER_STATES)[number] | 'unknown';

/** What the provider is to do next, or does now. */
export interface PendingOperation {
  /** Rises per machine: with the machine's id it names the operation in every attempt. */
  number: number;
  name: Operation;
  /** Hooks begun so far. */
  attempt: number;
  /** Whether a hook is at work on it. */
  running: boolean;
  /** When the next hook may begin, ms since the epoch. */
  dueAt: number;
}

export type OperationEvent =
  | { type: 'operation_begun'; number: number }
  /** The server that ran the hook is gone. */
  | { type: 'operation_interrupted' }
  | { type: 'operation_answered'; number: number; state: (typeof PROVIDER_STATES)[number]; expectedMs?: number }
  | { type: 'operation_failed'; number: number; message: string; retryable: boolean };
type EventOf<T extends OperationEvent['type']> = Extract<OperationEvent, { type: T }>;

/** What an event changes of a machine; `undefined` clears a field. */
export type Changes = { [K in keyof MachineState]?: MachineState[K] | undefined };

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 300_000;
const FIRST_DESCRIBE_MS = 2000;
const LONGEST_DESCRIBE_MS = 30_000;

/** Whether an event of an operation is about the one that the machine has, in the state that it has. */
export function concerns(event: OperationEvent, operation: PendingOperation | undefined): boolean {
  if (operation === undefined) return false;
  if (event.type === 'operation_interrupted') return operation.running;
  return operation.number === event.number && operation.running === (event.type !== 'operation_begun');
}

/** What an event of its operation changes of a machine. */
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

/** The operation after an event: a hook at work is waited for, what is still wanted goes on, another takes its place. */
export function nextOperation(
  { operation, lastOperation }: MachineState,
  wanted: Operation | undefined,
  now: number,
): PendingOperation | undefined {
  if (operation?.running === true) return operation;
  if (wanted === undefined) return undefined;
  if (operation?.name === wanted) return operation;
  const pauseMs = wanted === 'describe' ? FIRST_DESCRIBE_MS : 0;
  return { number: lastOperation + 1, name: wanted, attempt: 0, running: false, dueAt: now + pauseMs };
}

/** The states that an operation may answer; any other means that it has not done what it was asked for. */
const FITTING: Readonly<Record<Operation, readonly ProviderState[]>> = {
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
  if (!FITTING[operation.name].includes(answer)) {
    const message = `the provider answered "${answer}" to ${operation.name}`;
    return failed(state, operation, { type: 'operation_failed', number, message, retryable: true }, now);
  }
  return {
    // One that goes on (described again, a delete that is pending) keeps its number and slows down.
    operation: { ...operation, running: false, dueAt: nextAttemptAt(operation, now) },
    providerState: answer,
    lastError: undefined,
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
  // A machine that cannot be resized runs on as it is, and so does one whose agent came all the same.
  if (operation.name === 'resize') return { operation: undefined, lastError: message, resizing: false };
  return { operation: undefined, lastError: message, failedForGood: agent !== 'connected' };
}

/** Exponential: described every 2 to 30 s, anything else tried again after 1 s to 5 min. */
function nextAttemptAt({ name, attempt }: PendingOperation, now: number): number {
  const [first, longest] =
    name === 'describe' ? [FIRST_DESCRIBE_MS, LONGEST_DESCRIBE_MS] : [FIRST_RETRY_MS, LONGEST_RETRY_MS];
  return now + Math.min(longest, first * 2 ** Math.min(30, Math.max(0, attempt - 1)));
}
