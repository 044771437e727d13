/** Identifies a process by its pid, its start time and the boot: pids are reused, also after a reboot. */
import { bootId, processRow } from './process-table.ts';

export interface ProcessIdentity {
  pid: number;
  /** The start time as in the process table (Linux: clock ticks since boot). */
  startTime: string;
  bootId: string;
}

/** Returns the identity of a running process or zombie. Undefined if no process has this pid. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const row = processRow(pid);
  return row && { pid, startTime: row.startTime, bootId: bootId() };
}

/** Whether exactly this process, and not another one with its pid, exists and has not ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const row = processRow(identity.pid);
  return row !== undefined && row.startTime === identity.startTime && !row.ended;
}
