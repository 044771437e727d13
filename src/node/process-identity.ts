/** Identifies a process for certain: pids are reused, also over a reboot, so a pid counts only with its start time and the boot. */
import { bootId, processRow } from './process-table.ts';

export interface ProcessIdentity {
  pid: number;
  /** The start time as in the process table (Linux: clock ticks since boot). */
  startTime: string;
  bootId: string;
}

/** Returns the identity of a running process or zombie. Undefined if no process has this number. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const row = processRow(pid);
  return row && { pid, startTime: row.startTime, bootId: bootId() };
}

/** Whether this very process, and not another one with its number, exists and has not ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const row = processRow(identity.pid);
  return row !== undefined && row.startTime === identity.startTime && !row.ended;
}
