/** A machine's state in the words that people use. */
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

/** `online`, `offline`, `waiting`, `never joined`; else the phase as the API has it. */
export function stateOf({ status }: Machine): string {
  return REASONS[status.reason] ?? PHASES[status.phase] ?? status.phase;
}

/** When the server last heard of its agent: `now` while it is connected, `3s ago`; `-` before it first joined. */
export function lastSeen({ status }: Machine): string {
  if (status.reason === 'agent_connected') return 'now';
  return status.reason === 'never_joined' ? '-' : age(status.last_progress_at);
}

/** The same, behind a machine id: `is offline (last seen 4m ago)`. */
export function absence(machine: Machine): string {
  const state = stateOf(machine);
  if (state === 'never joined') return 'has never joined';
  return `is ${state} (last seen ${lastSeen(machine)})`;
}
