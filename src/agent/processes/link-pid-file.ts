/**
 * DIR/link.pid says which process is the link of a directory, and whether it has a connection: a pid counts only together with its
 * start time.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readPrivateJson, writePrivateJson } from '../../node/private-file.ts';
import { packageVersion } from '../../node/version.ts';

const pidFile = (dir: string) => join(dir, 'link.pid');

/** A link that runs. */
export interface LinkProcess {
  pid: number;
  version: string;
  /** Whether the server has welcomed it, and the connection has not ended since. */
  linked: boolean;
}

export interface PidFile {
  /** Never throws: a full disk keeps no link from working. */
  setLinked(linked: boolean): void;
  release(): void;
}

/** Writes this process down as the link of `dir`, not connected yet. */
export function claimPidFile(dir: string): PidFile {
  const self = { pid: process.pid, start_time: startTime(process.pid) ?? null, version: packageVersion() };
  let written = false;
  writePrivateJson(pidFile(dir), { ...self, linked: written });
  return {
    setLinked(linked) {
      if (linked === written) return;
      try {
        writePrivateJson(pidFile(dir), { ...self, linked });
        written = linked;
      } catch {
        // Whoever looks sees what was true before.
      }
    },
    release() {
      if (findLink(dir)?.pid === process.pid) rmSync(pidFile(dir), { force: true });
    },
  };
}

/** The link that runs on `dir`; undefined where none does. */
export function findLink(dir: string): LinkProcess | undefined {
  let value: { pid?: unknown; start_time?: unknown; version?: unknown; linked?: unknown } | undefined;
  try {
    value = readPrivateJson(pidFile(dir)) as typeof value;
  } catch {
    return undefined;
  }
  if (typeof value?.pid !== 'number' || !isAlive(value.pid)) return undefined;
  if ((startTime(value.pid) ?? null) !== value.start_time) return undefined;
  return { pid: value.pid, version: String(value.version), linked: value.linked === true };
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
