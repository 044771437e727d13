/** Explains the phase of a machine in sentences: the reason, its times, and the event that ends it. */
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

interface MachineReasonContext {
  /** ms since the epoch. */
  now: number;
  /** Time after which the executions of an offline machine are given up, ms. */
  lostAfterMs: number;
}

/** Explains the phase of a machine. */
export function machineReason(machine: Machine, context: MachineReasonContext): Reason {
  const { phase, reason, lastTransitionAt: since } = machine;
  if (phase === 'running') return { message: 'running: its agent is connected', since, next: endOfRunning(machine) };
  if (phase === 'destroyed') return { message: 'destroyed: it was removed', since };
  if (reason === 'agent_away') return away(machine, context);
  const { now } = context;
  const next = nextOf(machine, now);
  const until = machine.expectedAt !== undefined && machine.expectedAt > now ? { until: machine.expectedAt } : {};
  return { message: `${phase}: ${stepOf(machine)}${lastFailure(machine)}`, since, ...until, next };
}

/** Returns why a machine is not connected, as the rest of a sentence. */
export function absenceOf({ phase, agent, awaySince, lastError, reason }: Machine, now: number): string {
  if (phase === 'failed') return `its provider failed${lastError === undefined ? '' : ` (${lastError})`}`;
  if (phase === 'starting' || phase === 'accepted') return 'the machine is being started';
  if (phase === 'stopping') return 'the machine is being stopped';
  if (phase === 'destroying') return 'the machine is being removed';
  if (reason === 'create_requested') return 'the machine is being created';
  if (agent === 'never_joined') return 'no agent has joined the machine yet';
  if (agent === 'connected') return 'the agent of the machine has just connected';
  if (reason === 'slept' || reason === 'autosleep') return 'the machine sleeps';
  return awaySince === undefined ? 'the machine is offline' : lastSeen(awaySince, now);
}

/** Returns how long the machine has been offline, as the rest of a sentence. */
export function lastSeen(awaySince: number, now: number): string {
  return `the machine was last seen ${span(now - awaySince)} ago`;
}

/** Explains a machine without a provider that was connected before. */
function away(machine: Machine, { now, lostAfterMs }: MachineReasonContext): Reason {
  const { phase, awaySince = machine.lastTransitionAt } = machine;
  const lostAt = awaySince + lostAfterMs;
  const next =
    lostAt <= now
      ? 'Its agent connects; the commands that ran there were given up as agent_lost.'
      : `Its agent connects; the commands that run there are given up as agent_lost ${span(lostAt - now)} from now.`;
  return { message: `${phase}: ${lastSeen(awaySince, now)}`, since: awaySince, next };
}

/** Returns the present step of a machine whose provider changes it, or for which an agent is awaited. */
function stepOf({ phase, reason, lastError }: Machine): string {
  if (phase === 'failed') return `its provider failed${lastError === undefined ? '' : ` (${lastError})`}`;
  if (phase === 'destroying') return 'its provider deletes it';
  switch (reason) {
    case 'create_requested':
      return 'its provider creates it';
    case 'waiting_for_agent':
      return 'its provider has started it, and its agent has not connected yet';
    case 'wake_requested':
      return 'its provider wakes it';
    case 'sleep_requested':
      return 'its provider puts it to sleep';
    case 'autosleep':
      return 'it was idle, and its provider puts it to sleep';
    case 'slept':
      return 'its provider has put it to sleep';
    default:
      return 'no agent has joined the machine yet';
  }
}

/** Names the failure after which an operation of the provider is tried again. */
function lastFailure({ phase, lastError }: Machine): string {
  return phase === 'failed' || lastError === undefined ? '' : `; the last attempt failed (${lastError})`;
}

function nextOf(machine: Machine, now: number): string {
  const { phase, reason, operation } = machine;
  if (phase === 'failed') return 'An administrator wakes it again or removes it.';
  if (reason === 'slept') return 'A command, a terminal or a request wakes it.';
  if (reason === 'never_joined') return 'Its agent joins with a join token.';
  const retryMs = operation === undefined || operation.running ? 0 : operation.dueAt - now;
  if (machine.lastError !== undefined && retryMs > 0) return `Its provider is called again ${span(retryMs)} from now.`;
  if (phase === 'stopping') return 'Its provider answers that it has stopped.';
  if (phase === 'destroying') return 'Its provider answers that it is gone.';
  return 'Its agent connects.';
}

function endOfRunning({ provider, autosleepSeconds }: Machine): string {
  if (provider === undefined || autosleepSeconds === 0) return 'Its agent disconnects.';
  return `It is put to sleep once it had no command and no client of a terminal for ${span(autosleepSeconds * 1000)}.`;
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
