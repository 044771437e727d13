/** The domain: the execution, and the only function that changes its status. */
import type { ArtifactEntry, DeclaredArtifact } from './artifact.ts';
import type { Limits, TerminalSize } from './launch-options.ts';
import type { UsagePayload } from './report.ts';
import { type ExecutionStatus, type FailureCode, isTerminal, type TerminalStatus } from './execution-status.ts';

export * from './execution-status.ts';

export type Stream = 'stdout' | 'stderr';

/**
 * `stream`: output is kept until it is read. `abandoned`: it was in stream mode, and nobody read it for too long. Absent: output is kept
 * up to a limit, in the event log.
 */
export type OutputMode = 'stream' | 'abandoned';

/** Bytes that the process produced on one stream, and whether some of them were not kept. */
export interface StreamCount {
  bytes: number;
  truncated: boolean;
}

/** The end of a command, as reported by the agent or decided by the server. */
export interface Outcome {
  status: TerminalStatus;
  exitCode?: number;
  signal?: number;
  errorCode?: FailureCode;
  errorMessage?: string;
}

/** The part of an execution that `transition` reads and writes. Times are ms since the epoch, on the server's clock. */
export interface ExecutionState extends Partial<Omit<Outcome, 'status'>> {
  status: ExecutionStatus;
  createdAt: number;
  expiresAt: number;
  startedAt?: number;
  completedAt?: number;
  /** Set if a cancel was requested before the end was known. */
  cancelRequestedAt?: number;
  /** The runner instance it was dispatched to; the fence of "at most once". */
  dispatchedTo?: string;
}

/** The request of an execution. */
export interface NewExecution {
  executionId: string;
  machineId: string;
  command: readonly string[];
  cwd?: string;
  /** Names only, sorted; empty if there was no env. */
  envKeys: readonly string[];
  user?: string;
  timeoutMs?: number;
  stdinMode: 'none' | 'fixed' | 'open';
  callbackUrl?: string;
  outputMode?: OutputMode;
  /** The size of the terminal that it runs on. Absent: it has no terminal. */
  tty?: TerminalSize;
  limits?: Limits;
  /** It is a terminal, which the lists of executions do not show. `command` is its shell, or empty. */
  isTerminal?: true;
  /** Files to collect at the end, besides its drop folder. */
  declaredArtifacts?: readonly DeclaredArtifact[];
  /** env and stdin, sealed; erased at the end of the execution. */
  sealedInput?: Buffer;
  expiresAt: number;
  /** API key id, or `admin`. */
  createdBy: string;
}

/** The public state of an execution. */
export interface Execution extends ExecutionState, Omit<NewExecution, 'sealedInput'> {
  stdout: StreamCount;
  stderr: StreamCount;
  /** Number of public events so far. The next one gets this plus 1. */
  lastSequence: number;
  /** The number of the last report applied: the agent may drop reports up to it. */
  reported: number;
  /** Rises per machine with every dispatch. Set together with `dispatchedTo`. */
  dispatchNumber?: number;
  /** API key id, or `admin`. */
  cancelledBy?: string;
  /** The usage of its processes, once the agent has reported it. */
  usage?: UsagePayload;
  /** Its artifacts, by name. Absent if there are none. */
  artifacts?: readonly ArtifactEntry[];
}

/** A public event of the log. `chunk` is bytes as the process wrote them. */
export type ExecutionEvent = { sequence: number; at: number } & (
  | { type: 'stdout' | 'stderr'; chunk: Buffer }
  | ({ type: 'lifecycle'; status: ExecutionStatus } & Partial<Omit<Outcome, 'status'>>)
);

export type ExecutionInput =
  | { type: 'machine_connected' }
  | { type: 'dispatched'; runnerInstance: string }
  | { type: 'cancel_requested' }
  | { type: 'started' }
  | { type: 'ended'; outcome: Outcome }
  | { type: 'expired' }
  | { type: 'undelivered' }
  | { type: 'agent_lost'; reason: string }
  | { type: 'machine_removed' }
  /** The machine that it waits for cannot be started. */
  | { type: 'wake_failed'; reason: string };

type Refusal =
  /** It has ended already: nothing changes any more. */
  | 'terminal'
  /** The input is not legal in the present status, or repeats an earlier one. */
  | 'not_applicable';

export type Transition<S extends ExecutionState> =
  /** `changed`: the status is another one, so the log gets a lifecycle event. */
  { ok: true; next: S; changed: boolean } | { ok: false; refusal: Refusal };

/**
 * Returns the state of an execution after `input`, at `now` (ms since the epoch). Pure and total. A refusal means that the input changes
 * nothing: it came late, twice, or out of place.
 */
export function transition<S extends ExecutionState>(state: S, input: ExecutionInput, now: number): Transition<S> {
  if (isTerminal(state.status)) return { ok: false, refusal: 'terminal' };
  switch (input.type) {
    case 'machine_connected':
      return state.status === 'wake_in_progress' ? moved({ ...state, status: 'queued' }) : refused();
    case 'dispatched':
      return state.status === 'queued' && state.dispatchedTo === undefined
        ? { ok: true, changed: false, next: { ...state, dispatchedTo: input.runnerInstance } }
        : refused();
    case 'cancel_requested':
      return cancelRequested(state, now);
    case 'started':
      return state.status === 'queued' && state.dispatchedTo !== undefined
        ? moved({ ...state, status: 'running', startedAt: now })
        : refused();
    case 'ended':
      return state.dispatchedTo === undefined ? refused() : ended(state, input.outcome, now);
    case 'expired':
      return state.dispatchedTo === undefined && now >= state.expiresAt ? ended(state, EXPIRED, now) : refused();
    case 'undelivered':
      return undelivered(state, now);
    case 'agent_lost':
      return state.dispatchedTo === undefined
        ? refused()
        : ended(state, { status: 'failed', errorCode: 'agent_lost', errorMessage: input.reason }, now);
    case 'machine_removed':
      return ended(state, state.dispatchedTo === undefined ? REMOVED_WAITING : REMOVED_RUNNING, now);
    case 'wake_failed':
      return wakeFailed(state, input.reason, now);
  }
}

const CANCELLED: Outcome = {
  status: 'cancelled',
  errorCode: 'cancelled',
  errorMessage: 'The execution was cancelled before it started.',
};
const EXPIRED: Outcome = {
  status: 'expired',
  errorCode: 'start_timed_out',
  errorMessage: 'The execution was not started by its expires_at.',
};
const REMOVED_WAITING: Outcome = {
  status: 'cancelled',
  errorCode: 'machine_removed',
  errorMessage: 'The machine was removed before the command was started.',
};
const REMOVED_RUNNING: Outcome = {
  status: 'failed',
  errorCode: 'machine_removed',
  errorMessage: 'The machine was removed while it had the command.',
};

/** A waiting execution is cancelled at once. A dispatched one is only marked, because the agent knows whether it runs. */
function cancelRequested<S extends ExecutionState>(state: S, now: number): Transition<S> {
  if (state.dispatchedTo === undefined) return ended(state, CANCELLED, now);
  if (state.cancelRequestedAt !== undefined) return refused();
  return { ok: true, changed: false, next: { ...state, cancelRequestedAt: now } };
}

/**
 * The agent has proved that the start never arrived. A cancel requested meanwhile takes effect, a passed deadline expires it; otherwise
 * nothing changes (it is sent again under the same mark).
 */
function undelivered<S extends ExecutionState>(state: S, now: number): Transition<S> {
  if (state.status !== 'queued' || state.dispatchedTo === undefined) return refused();
  if (state.cancelRequestedAt !== undefined) return ended(state, CANCELLED, now);
  if (now >= state.expiresAt) return ended(state, EXPIRED, now);
  return refused();
}

function wakeFailed<S extends ExecutionState>(state: S, reason: string, now: number): Transition<S> {
  if (state.status !== 'wake_in_progress') return refused();
  return ended(state, { status: 'failed', errorCode: 'wake_failed', errorMessage: reason }, now);
}

function ended<S extends ExecutionState>(state: S, outcome: Outcome, now: number): Transition<S> {
  return moved({ ...state, ...outcome, completedAt: now });
}

function moved<S extends ExecutionState>(next: S): Transition<S> {
  return { ok: true, changed: true, next };
}

function refused<S extends ExecutionState>(): Transition<S> {
  return { ok: false, refusal: 'not_applicable' };
}
