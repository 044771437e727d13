/** Tells how far a machine has joined with a token, from lists that the server has anyway. */
import type { JoinTokenWire } from '../../api/admin.ts';
import type { AuditEntryWire } from '../../api/admin.ts';
import type { Machine } from '../data/machines.ts';

export type Joining =
  | { state: 'waiting'; long: boolean }
  | { state: 'enrolled' | 'joined'; machineId: string }
  | { state: 'expired' };

/** After this time without progress the page suggests causes, ms. */
const LONG_WAIT_MS = 20_000;

/** Returns how far the machine has come: waiting, enrolled, joined, or its token expired. */
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
