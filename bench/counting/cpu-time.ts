/** Reads the processor time of processes, which the kernel counts in ticks of 10 ms. */
import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;

/** Returns the user and system time of a process so far, in ms; 0 if it has ended. */
export function cpuMs(pid: number): number {
  const [, , user = 0, system = 0] = stat(pid);
  return (user + system) * TICK_MS;
}

/** Returns the time of a process and its children, including ended ones, in ms. */
export function cpuMsWithChildren(pid: number): number {
  const [, , user = 0, system = 0, endedUser = 0, endedSystem = 0] = stat(pid);
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && stat(Number(name))[0] === pid);
  const own = (user + system + endedUser + endedSystem) * TICK_MS;
  return own + children.reduce((sum, child) => sum + cpuMs(Number(child)), 0);
}

/** Returns parent, group, and the four times of proc(5). */
function stat(pid: number): number[] {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return [fields[1], fields[2], ...fields.slice(11, 15)].map(Number);
  } catch {
    return [];
  }
}
