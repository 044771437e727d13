/** Where processes are in the cgroup v2 hierarchy, as far as this process can see it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** One of ours, made for a single execution (spawner/cgroups.ts). */
const EXECUTION_CGROUP = /\/execplane-\d+-\d+-\d+\/\d+/g;

export interface CgroupPlace {
  /** As the kernel names it. */
  path: string;
  directory: string;
}

/** The cgroup of a process; `undefined` where there is none to see. */
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
 * SIGKILL to all that lives in the cgroup which was made for the execution that this process belongs to; says whether
 * there was one. Never the cgroup that we ourselves live in, as an agent does that was started by an execution.
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
