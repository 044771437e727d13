/** Computes the usage of processes from the process table (proc(5)), for trees without a cgroup that measures them. */
import { readFileSync } from 'node:fs';
import type { Usage } from './spawner.ts';

/** ms in a clock tick of /proc/PID/stat, whose rate is 100 Hz for programs on every architecture. */
const TICK_MS = 10;
/** Places in /proc/PID/stat after the program's name: user and system time, of the process and of the children that it waited for. */
const USER = [11, 13] as const;
const SYSTEM = [12, 14] as const;

/**
 * Sums the processor time of processes and of the children that they waited for. Memory is that of the largest process, as in getrusage(2),
 * because shared memory cannot be distinguished. Undefined if no process can be read.
 */
export function usageOfProcesses(pids: readonly number[]): Usage | undefined {
  const all = pids.map(usageOf).filter((usage) => usage !== undefined);
  if (all.length === 0) return undefined;
  return {
    cpuUserMs: all.reduce((sum, { cpuUserMs }) => sum + cpuUserMs, 0),
    cpuSystemMs: all.reduce((sum, { cpuSystemMs }) => sum + cpuSystemMs, 0),
    maxMemoryBytes: Math.max(...all.map(({ maxMemoryBytes }) => maxMemoryBytes)),
  };
}

function usageOf(pid: number): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The program's name is in brackets and may contain anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const time = (places: readonly number[]): number =>
      places.reduce((sum, place) => sum + Number(fields[place]) * TICK_MS, 0);
    // A zombie has no memory.
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
    return { cpuUserMs: time(USER), cpuSystemMs: time(SYSTEM), maxMemoryBytes: Number(peak) * 1024 };
  } catch {
    return undefined;
  }
}
