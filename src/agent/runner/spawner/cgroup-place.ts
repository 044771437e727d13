/** The cgroup v2 hierarchy, as far as this process can see it: the place of processes in it, the processes of a place, empty places. */
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The name of a cgroup made for a single execution (spawner/cgroups.ts). */
const EXECUTION_CGROUP = /\/execplane-\d+-\d+-\d+\/\d+/g;

/** The cgroup that systemd's DelegateSubgroup= puts the agent itself into, so that its unit's cgroup can have others below. */
export const AGENT_SUBGROUP = 'agent';

export interface CgroupPlace {
  /** The path that the kernel gives. */
  path: string;
  directory: string;
}

/** Returns the cgroup of a process. `undefined` if there is none to see. */
export function cgroupOf(pid: number | 'self'): CgroupPlace | undefined {
  try {
    const path = /^0::(\/.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
    const [, root, mount] =
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => /^\d+ \d+ \S+ (\S+) (\S+) .* - cgroup2 /.exec(line))
        .find((found) => found !== null) ?? [];
    if (path === undefined || root === undefined || mount === undefined) return undefined;
    const below = relative(root, path);
    return below.startsWith('..') ? undefined : { path, directory: join(mount, below) };
  } catch {
    return undefined;
  }
}

/**
 * Sends SIGKILL to all processes in the cgroup that was made for the execution of this process. Returns whether there was one. Never
 * kills the cgroup that this process itself is in, which happens for an agent that an execution started.
 */
export function killExecutionCgroup(pid: number): boolean {
  const place = cgroupOf(pid);
  const last = place && [...place.path.matchAll(EXECUTION_CGROUP)].at(-1);
  const self = cgroupOf('self')?.path;
  if (!place || !last || self === undefined) return false;
  const path = place.path.slice(0, last.index + last[0].length);
  if (self === path || self.startsWith(`${path}/`)) return false;
  try {
    writeFileSync(join(place.directory, relative(place.path, path), 'cgroup.kill'), '1');
    return true;
  } catch {
    return false;
  }
}

/** Removes a cgroup and those below it if no process lives there. Otherwise the next process that opens a pool removes the rest. */
export function removeEmpty(path: string): void {
  if (removed(path)) return;
  for (const below of subgroupsOf(path)) removeEmpty(below);
  removed(path);
}

/** Removes a cgroup if no process lives in it and there is none below it. Returns whether it is gone. */
export function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // A process lives in it, or it has cgroups below it.
  }
}

function subgroupsOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  } catch {
    return [];
  }
}

/** Returns the numbers of the processes that live in a cgroup or below it. */
export function membersOf(path: string): number[] {
  const own = processesOf(path).split('\n').map(Number);
  return [...own.filter((pid) => pid > 1), ...subgroupsOf(path).flatMap(membersOf)];
}

function processesOf(path: string): string {
  try {
    return readFileSync(join(path, 'cgroup.procs'), 'latin1');
  } catch {
    return '';
  }
}
