/** Derives the progress of a machine's join with a token, from existing lists of the server. */
import type { JoinTokenWire } from '../../api/admin.ts';
import type { AuditEntryWire } from '../../api/admin.ts';
import type { Machine } from '../data/machines.ts';

export type Joining =
  | { state: 'waiting'; long: boolean }
  | { state: 'enrolled' | 'joined'; machineId: string }
  | { state: 'expired' };

/** Time without progress after which the page suggests causes, ms. */
const LONG_WAIT_MS = 20_000;

/** Returns the progress of the join: waiting, enrolled, joined, or the token expired. */
export function joiningState(p: {
  token: JoinTokenWire;
  /** Valid tokens. Absent until they are loaded. */
  usable: readonly JoinTokenWire[] | undefined;
  machines: readonly Machine[];
  /** Newest first. */
  audit: readonly AuditEntryWire[];
  waitedMs: number;
  /** ms since the epoch. */
  now: number;
}): Joining {
  const { token, usable, machines, audit } = p;
  const isUsed = usable !== undefined && !usable.some(({ join_token_id: id }) => id === token.join_token_id);
  const enrolled = audit.find(
    ({ at, action, machine_id: machineId }) =>
      action === 'machine.enrol' &&
      at >= token.created_at &&
      (token.machine_id === undefined ? isUsed : machineId === token.machine_id),
  )?.machine_id;
  if (enrolled !== undefined) {
    const machine = machines.find(({ machine_id: id }) => id === enrolled);
    return { state: machine?.status.phase === 'running' ? 'joined' : 'enrolled', machineId: enrolled };
  }
  if (isUsed && p.now >= Date.parse(token.expires_at)) return { state: 'expired' };
  return { state: 'waiting', long: p.waitedMs > LONG_WAIT_MS };
}
