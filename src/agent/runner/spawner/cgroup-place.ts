/** Reads the visible part of the cgroup v2 hierarchy: the cgroups of processes, the processes and control files of cgroups, empty cgroups. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const PIECE = Buffer.alloc(4096);
/** The name of a cgroup made for a single execution (spawner/cgroups.ts). */
const EXECUTION_CGROUP = /\/execplane-\d+-\d+-\d+\/\d+/g;

/** The cgroup that systemd's DelegateSubgroup= puts the agent itself into, so that its unit's cgroup can have others below. */
export const AGENT_SUBGROUP = 'agent';

export interface CgroupPlace {
  /** The path as reported by the kernel. */
  path: string;
  directory: string;
}

/** Returns the cgroup of a process. `undefined` if none is visible. */
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
 * Sends SIGKILL to all processes in the cgroup of a process's execution. Returns whether it has one. Never kills the cgroup of this process
 * itself, which is also one of an execution if an execution started this agent.
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

/** Removes a cgroup and those below it if they have no processes. Otherwise the next process that opens a pool removes the rest. */
export function removeEmpty(path: string): void {
  if (removed(path)) return;
  for (const below of subgroupsOf(path)) removeEmpty(below);
  removed(path);
}

/** Removes a cgroup that has no processes and no cgroups below it. Returns whether it was removed. */
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

/** Returns the pids of the processes in a cgroup or below it. */
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

/** Writes a control file of a cgroup. Throws the error of the kernel. */
export function writeControl(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

/** Reads a control file of a cgroup. Undefined if that is impossible. */
export function readControl(directory: string, name: string): string | undefined {
  const path = join(directory, name);
  try {
    const text = readOnce(path);
    // The kernel returns whole lines that fit into a page; there may be more of a long text.
    return text.length < PIECE.length / 2 ? text : readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** Reads the beginning of a file in three system calls. `readFileSync` makes five. */
function readOnce(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    return PIECE.toString('latin1', 0, readSync(descriptor, PIECE, 0, PIECE.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Reads a file of less than a page, which the kernel returns at once. */
export function readDescriptor(descriptor: number): string | undefined {
  try {
    return PIECE.toString('latin1', 0, readSync(descriptor, PIECE, 0, PIECE.length, 0));
  } catch {
    return undefined;
  }
}

/** Parses the lines `NAME NUMBER` of a file. */
export function numbersOf(text = ''): Record<string, number> {
  const pairs = [...text.matchAll(/^(\S+) (\d+)$/gm)];
  return Object.fromEntries(pairs.map(([, name = '', value]) => [name, Number(value)]));
}

/** Sums `NAME=NUMBER` over all lines. */
export function sumOf(text: string, name: string): number {
  return [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))].reduce((sum, [, value]) => sum + Number(value), 0);
}
