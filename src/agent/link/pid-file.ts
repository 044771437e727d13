/** DIR/link.pid says which process is the link of a directory: a pid counts only together with its start time. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readPrivateJson, writePrivateJson } from './private-file.ts';

const pidFile = (dir: string) => join(dir, 'link.pid');

/** Writes this process down as the link of `dir`; returns what takes it back. */
export function claimPidFile(dir: string): () => void {
  writePrivateJson(pidFile(dir), { pid: process.pid, start_time: startTime(process.pid) ?? null });
  return () => {
    if (findLink(dir) === process.pid) rmSync(pidFile(dir), { force: true });
  };
}

/** The pid of the link that runs on `dir`; undefined where none does. */
export function findLink(dir: string): number | undefined {
  let value: { pid?: unknown; start_time?: unknown } | undefined;
  try {
    value = readPrivateJson(pidFile(dir)) as typeof value;
  } catch {
    return undefined;
  }
  if (typeof value?.pid !== 'number' || !isAlive(value.pid)) return undefined;
  return (startTime(value.pid) ?? null) === value.start_time ? value.pid : undefined;
}

/** Whether there is a process of this pid. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of proc_pid_stat(5), clock ticks after boot; undefined where there is no /proc, or no such live process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in field 2 may hold spaces and parentheses: fields are counted from the last one.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : rest[18];
  } catch {
    return undefined;
  }
}
