/** Explains the state of an execution or a machine in sentences: the reason, its times, and the event that ends it. */
import { type Execution, isTerminal } from '../execution.ts';
import type { Machine } from '../machines/machine.ts';

export interface Reason {
  message: string;
  /** ms since the epoch. */
  since: number;
  /** When the state ends by itself, ms since the epoch. Absent: not known. */
  until?: number;
  /** The event that ends this state. Absent for a state that is final. */
  next?: string;
}

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
    return {
      message: 'cancelling: it was sent to the agent, whose answer is awaited',
      since: execution.cancelRequestedAt,
    };
  }
  if (status === 'wake_in_progress') {
    const { machine, now } = context;
    const message = machine === undefined ? 'the machine is unknown' : absenceOf(machine, now);
    return { message: `waiting: ${message}`, ...waits, next: 'It starts when the agent of the machine connects.' };
  }
  const { place } = context;
  if (place === undefined) {
    const message = 'queued: it was sent to the agent, which has not started it yet';
    return { message, ...waits, next: 'It starts as soon as the agent takes it.' };
  }
  if (place.busy === 0) return { message: `queued: position ${place.ahead + 1}`, ...waits, next: 'It is sent next.' };
  const slots = place.busy === 1 ? 'the only slot of the machine is' : `all ${place.busy} slots of the machine are`;
  const message = `queued: ${slots} busy; position ${place.ahead + 1}`;
  return { message, ...waits, next: 'It starts when a command before it ends.' };
}

/** Explains the phase of a machine. */
export function machineReason(machine: Machine, { now, lostAfterMs }: Omit<ReasonContext, 'machine'>): Reason {
  const { phase, agent, lastTransitionAt: since, expectedAt, awaySince } = machine;
  if (phase === 'running') return { message: 'running: its agent is connected', since };
  if (phase === 'destroyed') return { message: 'destroyed: it was removed', since };
  const message = `${phase}: ${absenceOf(machine, now)}`;
  const until = expectedAt !== undefined && expectedAt > now ? { until: expectedAt } : {};
  if (phase === 'failed') return { message, since, next: 'An administrator wakes it again or removes it.' };
  if (agent === 'never_joined') return { message, since, ...until, next: 'Its agent joins with a join token.' };
  if (awaySince === undefined) return { message, since, ...until };
  const isLost = awaySince + lostAfterMs <= now;
  const next = isLost
    ? 'Its agent connects; the commands that ran there were given up as agent_lost.'
    : `Its agent connects; the commands that run there are given up as agent_lost ${span(awaySince + lostAfterMs - now)} from now.`;
  return { message, since: awaySince, ...until, next };
}

function running(execution: Execution, { machine, now, lostAfterMs }: ReasonContext): Reason {
  const { startedAt = execution.createdAt, timeoutMs, cancelRequestedAt } = execution;
  const [state, noun] = execution.isTerminal ? ['ready', 'shell'] : ['running', 'command'];
  if (machine?.agent === 'away' && machine.awaySince !== undefined) {
    const message = `${state}: ${lastSeen(machine.awaySince, now)}; the ${noun} keeps running there`;
    const next = 'The agent connects and reports; otherwise it ends as agent_lost.';
    return { message, since: machine.awaySince, until: machine.awaySince + lostAfterMs, next };
  }
  if (cancelRequestedAt !== undefined) {
    return { message: `cancelling: its processes are being ended`, since: cancelRequestedAt };
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

function absenceOf({ phase, agent, awaySince, lastError, reason }: Machine, now: number): string {
  if (phase === 'failed') return `its provider failed${lastError === undefined ? '' : ` (${lastError})`}`;
  if (phase === 'starting' || phase === 'accepted') return 'the machine is being started';
  if (phase === 'stopping') return 'the machine is being stopped';
  if (phase === 'destroying') return 'the machine is being removed';
  if (agent === 'never_joined') return 'no agent has joined the machine yet';
  if (agent === 'connected') return 'the agent of the machine has just connected';
  if (reason === 'slept' || reason === 'autosleep') return 'the machine sleeps';
  return awaySince === undefined ? 'the machine is offline' : lastSeen(awaySince, now);
}

function lastSeen(awaySince: number, now: number): string {
  return `the machine was last seen ${span(now - awaySince)} ago`;
}

/** Formats a time in its largest unit, such as `4 minutes`. */
function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [size, unit] = UNITS.find(([unitSeconds]) => seconds >= unitSeconds * 2) ?? [1, 'second'];
  const count = Math.round(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

const UNITS: readonly [number, string][] = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
];
