/** Describes the state of a machine for people. */
import type { Machine } from '../../client/main.ts';
import { age } from './age.ts';

type Status = Machine['status'];

const REASONS: Partial<Record<Status['reason'], string>> = {
  agent_connected: 'online',
  agent_away: 'offline',
  never_joined: 'never joined',
  slept: 'asleep',
};
const PHASES: Partial<Record<Status['phase'], string>> = {
  running: 'online',
  accepted: 'waiting',
  placement_pending: 'waiting',
  starting: 'waking',
  stopping: 'going to sleep',
};

/** Returns `online`, `offline`, `waiting` or `never joined`; else the API's phase. */
export function stateOf({ status }: Machine): string {
  return REASONS[status.reason] ?? PHASES[status.phase] ?? status.phase;
}

/** Returns the time of the last contact with its agent: `now` while it is connected, `3s ago`; `-` before it first joined. */
export function lastSeen({ status }: Machine): string {
  if (status.reason === 'agent_connected') return 'now';
  return status.reason === 'never_joined' ? '-' : age(status.last_progress_at);
}

/** Returns the state as a sentence's end after a machine id: `is offline (last seen 4m ago)`. */
export function absence(machine: Machine): string {
  const state = stateOf(machine);
  if (state === 'never joined') return 'has never joined';
  return `is ${state} (last seen ${lastSeen(machine)})`;
}
