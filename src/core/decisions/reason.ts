/** Explains the state of an execution or a terminal in sentences: the reason, its times, and the event that ends it. */
import { type Execution, isTerminal } from '../execution.ts';
import type { Machine } from '../machines/machine.ts';
import { absenceOf, lastSeen, type Reason } from './machine-reason.ts';

/** The place of a waiting execution in the queue of its machine. */
export interface QueuePlace {
  /** Executions that were sent to the agent and have not ended. */
  busy: number;
  /** Waiting executions that are older. */
  ahead: number;
}

export interface ReasonContext {
  /** Absent: the machine was deleted. */
  machine: Machine | undefined;
  /** ms since the epoch. */
  now: number;
  /** Time after which the executions of an offline machine are given up, ms. */
  lostAfterMs: number;
}

/** Explains the state of an execution. `place`: present while it is queued and was not sent to the agent. */
export function executionReason(execution: Execution, context: ReasonContext & { place?: QueuePlace }): Reason {
  const { status, createdAt, expiresAt } = execution;
  if (isTerminal(status)) return ended(execution);
  if (status === 'running') return running(execution, context);
  const waits = { since: createdAt, until: expiresAt };
  if (execution.cancelRequestedAt !== undefined) {
    const message = 'cancelling: it was sent to the agent, whose answer is awaited';
    return { message, since: execution.cancelRequestedAt, next: 'The agent answers that it has ended.' };
  }
  if (status === 'wake_in_progress') {
    const { machine, now } = context;
    const message = machine === undefined ? 'the machine is unknown' : absenceOf(machine, now);
    return { message: `waiting: ${message}`, ...waits, next: startOf(machine) };
  }
  const { place } = context;
  if (place === undefined) {
    const message = 'queued: it was sent to the agent, which has not started it yet';
    return { message, ...waits, next: 'It starts as soon as the agent takes it.' };
  }
  if (place.busy === 0) {
    const next = place.ahead === 0 ? 'It is sent next.' : 'It is sent once those before it were sent.';
    return { message: `queued: position ${place.ahead + 1}`, ...waits, next };
  }
  const slots = place.busy === 1 ? 'the only slot of the machine is' : `all ${place.busy} slots of the machine are`;
  const message = `queued: ${slots} busy; position ${place.ahead + 1}`;
  return { message, ...waits, next: 'It starts when a command before it ends.' };
}

/** Returns the event that starts what waits for the machine. */
function startOf(machine: Machine | undefined): string {
  if (machine?.phase === 'failed') return 'It starts when an administrator has woken the machine again.';
  const joins = machine?.agent === 'never_joined' && machine.provider === undefined;
  return joins
    ? 'It starts when an agent joins the machine with a join token.'
    : 'It starts when the agent of the machine connects.';
}

function running(execution: Execution, { machine, now, lostAfterMs }: ReasonContext): Reason {
  const { startedAt = execution.createdAt, timeoutMs, cancelRequestedAt } = execution;
  const [state, noun] = execution.isTerminal ? ['ready', 'shell'] : ['running', 'command'];
  if (machine?.agent === 'away' && machine.awaySince !== undefined) {
    const seen = lastSeen(machine.awaySince, now);
    const times = { since: machine.awaySince, until: machine.awaySince + lostAfterMs };
    if (cancelRequestedAt !== undefined) {
      const message = `cancelling: ${seen}, and its agent has to end the ${noun}`;
      return { message, ...times, next: 'The agent connects and ends it; otherwise it ends as agent_lost.' };
    }
    const message = `${state}: ${seen}; the ${noun} keeps running there`;
    return { message, ...times, next: 'The agent connects and reports; otherwise it ends as agent_lost.' };
  }
  if (cancelRequestedAt !== undefined) {
    const next = 'They end, or are killed after a grace period.';
    return { message: 'cancelling: its processes are being ended', since: cancelRequestedAt, next };
  }
  return {
    message: `${state}: the ${noun} has not ended`,
    since: startedAt,
    ...(timeoutMs === undefined ? {} : { until: startedAt + timeoutMs }),
    next:
      timeoutMs === undefined
        ? `The ${noun} ends, or is cancelled.`
        : `The ${noun} ends, is cancelled, or is killed at its timeout.`,
  };
}

function ended(execution: Execution): Reason {
  const { status, errorMessage, completedAt, createdAt, isTerminal: isShell } = execution;
  const closing = isShell ? closingOf(execution) : undefined;
  const success = status === 'succeeded' ? 'the command exited with code 0' : undefined;
  const message = closing === undefined ? `${status}: ${success ?? inLine(errorMessage)}` : `closed: ${closing}`;
  return { message, since: completedAt ?? createdAt };
}

/** Returns the event that closed a terminal. Undefined for one that failed or expired. */
function closingOf({ status, errorCode, exitCode = 0, signal = 0, startedAt }: Execution): string | undefined {
  if (status === 'succeeded') return 'the shell exited with code 0';
  switch (errorCode) {
    case 'nonzero_exit':
      return `the shell exited with code ${exitCode}`;
    case 'signaled':
      return `the shell was ended by signal ${signal}`;
    case 'oom_killed':
      return 'the shell was killed because it reached its memory limit';
    case 'cancelled':
      return startedAt === undefined
        ? 'it was closed before its shell started'
        : 'a request closed it, or it had no client for too long';
    case 'agent_stopped':
      return 'the agent was stopped on the machine, and the shell with it';
    case 'machine_removed':
      return 'the machine was removed';
    default:
      return undefined;
  }
}

/** Returns a sentence as it follows a colon: in lower case, without its period. */
function inLine(sentence = 'it has ended'): string {
  const [first = '', second = ''] = sentence;
  const acronym = second === second.toUpperCase();
  return `${acronym ? first : first.toLowerCase()}${sentence.slice(1).replace(/\.$/, '')}`;
}
