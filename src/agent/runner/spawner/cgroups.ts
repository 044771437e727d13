/**
 * Gives each running command a cgroup (v2), if this process may create cgroups. Then no process of the command can leave its tree, and the tree
 * can be limited and measured as a whole. Each command gets a new cgroup: a command that runs as the owner may have changed the settings of its
 * cgroup, and reading all of them back costs more than mkdir (31 µs). It is made ahead, and removed once the end is reported.
 */
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  AGENT_SUBGROUP,
  cgroupOf,
  membersOf,
  numbersOf,
  readControl,
  readDescriptor,
  removed,
  removeEmpty,
  sumOf,
  writeControl,
} from './cgroup-place.ts';
import { errorCode } from '../../../node/error-code.ts';
import { isAlive, processIdentity } from '../../../node/process-identity.ts';
import type { SpawnLimits, Usage } from './spawner.ts';

/** Number of cgroups with background processes that are checked again each time that others are removed. */
const RETIRED_PER_TIDY = 2;
const NAME = /^execplane-(\d+)-(\d+)-\d+$/;
const CPU_PERIOD_US = 100_000;
/** The controller that each limit needs. */
const CONTROLLERS = { memoryBytes: 'memory', cpus: 'cpu', pids: 'pids' } as const;
let pools = 0;

/** The cgroup of one command. */
export class Cgroup {
  readonly path: string;
  /** Descriptor of cgroup.events, opened on demand: most commands end with an empty cgroup, which `remove` detects without it. */
  #events: number | undefined;
  /** Descriptor of cpu.stat. */
  #cpu: number | undefined;
  readonly #controllers: ReadonlySet<string>;

  /** `controllers`: the controllers that measure the processes of this cgroup. */
  constructor(path: string, controllers: ReadonlySet<string>) {
    mkdirSync(path);
    this.path = path;
    this.#controllers = controllers;
  }

  /** Sets its limits before its command starts. Returns false if that is impossible, or if it was removed: then it is of no use. */
  prepare(limits: SpawnLimits): boolean {
    try {
      this.#openCpu();
      this.#limit(limits);
      return true;
    } catch {
      this.dispose();
      return false;
    }
  }

  /** Whether there is a process in the cgroup or below it. False if the cgroup was removed. */
  populated(): boolean {
    try {
      this.#events ??= openSync(join(this.path, 'cgroup.events'), 'r');
      return readDescriptor(this.#events)?.includes('populated 1') ?? false;
    } catch {
      return false;
    }
  }

  /**
   * Sends SIGKILL to every process in the cgroup. cgroup.kill also kills processes that are being forked, but not a process whose main thread
   * has ended before the others (pthread_exit). Such a process is killed by its pid.
   */
  kill(): void {
    writeControl(this.path, 'cgroup.kill', '1');
    for (const pid of membersOf(this.path)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The process has ended, or may not be signalled. `populated` shows the difference.
      }
    }
  }

  /** Returns the pids of the processes in it or below it. */
  members(): number[] {
    return membersOf(this.path);
  }

  /** Returns the usage of its processes, ended ones included. Memory and I/O are known only with their controllers. */
  usage(): Partial<Usage> {
    const cpu = numbersOf(this.#cpu === undefined ? undefined : readDescriptor(this.#cpu));
    const peak = Number(this.#measured('memory', 'memory.peak') ?? Number.NaN);
    const io = this.#measured('io', 'io.stat');
    return {
      ...(cpu['user_usec'] !== undefined && { cpuUserMs: Math.round(cpu['user_usec'] / 1000) }),
      ...(cpu['system_usec'] !== undefined && { cpuSystemMs: Math.round(cpu['system_usec'] / 1000) }),
      ...(Number.isFinite(peak) && { maxMemoryBytes: peak }),
      ...(io !== undefined && { ioReadBytes: sumOf(io, 'rbytes'), ioWriteBytes: sumOf(io, 'wbytes') }),
    };
  }

  /** Throws if the cgroup was removed. Without a free descriptor its processor time stays unknown. */
  #openCpu(): void {
    try {
      this.#cpu = openSync(join(this.path, 'cpu.stat'), 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw error;
    }
  }

  #measured(controller: string, name: string): string | undefined {
    return this.#controllers.has(controller) ? readControl(this.path, name) : undefined;
  }

  /** Whether the kernel killed a process of it because the memory limit was reached. */
  outOfMemory(): boolean {
    return (numbersOf(this.#measured('memory', 'memory.events'))['oom_kill'] ?? 0) > 0;
  }

  /** Removes the cgroup, unless there is a process in it or a cgroup below it. Returns whether it was removed. */
  remove(): boolean {
    this.#close();
    return removed(this.path);
  }

  /** Removes the cgroup, and those that the command created below it, if they have no processes. It is not used any more. */
  dispose(): void {
    this.#close();
    removeEmpty(this.path);
  }

  #close(): void {
    for (const descriptor of [this.#events, this.#cpu]) if (descriptor !== undefined) closeSync(descriptor);
    this.#events = this.#cpu = undefined;
  }

  #limit({ memoryBytes, cpus, pids }: SpawnLimits): void {
    if (memoryBytes !== undefined) {
      writeControl(this.path, 'memory.max', String(memoryBytes));
      if (existsSync(join(this.path, 'memory.swap.max'))) writeControl(this.path, 'memory.swap.max', '0');
      writeControl(this.path, 'memory.oom.group', '1');
    }
    if (cpus !== undefined) writeControl(this.path, 'cpu.max', `${Math.round(cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    if (pids !== undefined) writeControl(this.path, 'pids.max', String(pids));
  }
}

/** Creates and removes the cgroups of commands. */
export class CgroupPool {
  /** The limits that can be put on a command here. */
  readonly limits: ReadonlySet<keyof SpawnLimits>;
  readonly #root: string;
  readonly #controllers: ReadonlySet<string>;
  /** Cgroups with background processes of commands that have ended. */
  readonly #retired: Cgroup[] = [];
  /** Cgroups of commands that have ended, to be removed. */
  #returned: Cgroup[] = [];
  /** An empty cgroup for the next command. */
  #ready: Cgroup | undefined;
  #made = 0;
  #wanted = false;
  #closed = false;

  constructor(root: string, controllers: ReadonlySet<string> = new Set()) {
    this.#root = root;
    this.#controllers = controllers;
    const names = Object.keys(CONTROLLERS) as (keyof SpawnLimits)[];
    this.limits = new Set(names.filter((name) => controllers.has(CONTROLLERS[name])));
  }

  /** Returns an empty cgroup, to be returned by `giveBack`. `undefined` if none can be created. */
  acquire(limits?: SpawnLimits): Cgroup | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    this.#wanted = true;
    return (
      prepared(ready, limits) ??
      prepared(this.#make(), limits) ??
      (this.#restoreRoot() ? prepared(this.#make(), limits) : undefined)
    );
  }

  #make(): Cgroup | undefined {
    try {
      return new Cgroup(join(this.#root, String(++this.#made)), this.#controllers);
    } catch {
      return undefined;
    }
  }

  /** Creates the pool's own cgroup again. When systemd restarts a unit, it removes the empty cgroups below it while the runner keeps running. */
  #restoreRoot(): boolean {
    if (existsSync(this.#root)) return false;
    try {
      mkdirSync(this.#root);
      enableControllers(this.#root);
      return true;
    } catch {
      return false;
    }
  }

  /** Returns a cgroup to the pool, which removes it at the next `tidy`. */
  giveBack(cgroup: Cgroup): void {
    if (this.#closed) cgroup.dispose();
    else this.#returned.push(cgroup);
  }

  /** Removes returned cgroups and makes the next one. Nothing of it is urgent. */
  tidy(): void {
    if (this.#returned.length > 0) {
      const returned = this.#returned;
      this.#returned = [];
      for (const cgroup of [...this.#retired.splice(0, RETIRED_PER_TIDY), ...returned]) this.#remove(cgroup);
    }
    if (!this.#wanted || this.#ready !== undefined) return;
    this.#wanted = false;
    this.#ready = this.#make();
  }

  /** A cgroup that still has processes is kept until they have ended. */
  #remove(cgroup: Cgroup): void {
    if (cgroup.remove()) return;
    if (cgroup.populated()) this.#retired.push(cgroup);
    else cgroup.dispose();
  }

  /** Removes empty cgroups. Those with background processes stay; the next process that opens a pool here removes them. */
  close(): void {
    this.#closed = true;
    this.#wanted = false;
    for (const cgroup of [...this.#retired.splice(0), ...this.#returned.splice(0)]) cgroup.dispose();
    this.#ready?.dispose();
    this.#ready = undefined;
    removeEmpty(this.#root);
  }
}

function prepared(cgroup: Cgroup | undefined, limits: SpawnLimits = {}): Cgroup | undefined {
  return cgroup?.prepare(limits) ? cgroup : undefined;
}

/** Returns a pool below this process's own cgroup. `undefined` if the system or its permissions do not allow one. */
export function openCgroupPool(): CgroupPool | undefined {
  const own = cgroupOf('self')?.directory;
  const self = processIdentity(process.pid);
  if (!own || !self) return undefined;
  const base = basename(own) === AGENT_SUBGROUP && writable(dirname(own)) ? dirname(own) : own;
  try {
    sweep(base);
    const root = join(base, `execplane-${self.pid}-${self.startTime}-${++pools}`);
    mkdirSync(root);
    if (existsSync(join(root, 'cgroup.kill'))) return new CgroupPool(root, enableControllers(root));
    removeEmpty(root);
  } catch {
    // It is not writable for this process: the process table is used instead (process-tree.ts).
  }
  return undefined;
}

/**
 * Enables the available controllers for the commands' cgroups. A cgroup with processes directly in it cannot enable any ("no internal
 * processes", cgroups(7)), unless it is the root.
 */
function enableControllers(root: string): Set<string> {
  for (const controller of [...Object.values(CONTROLLERS), 'io']) {
    for (const directory of [dirname(root), root]) {
      try {
        writeControl(directory, 'cgroup.subtree_control', `+${controller}`);
      } catch {
        // The controller is then missing in the list that is read below.
      }
    }
  }
  return new Set(readControl(root, 'cgroup.subtree_control')?.trim().split(' '));
}

/** Removes the empty cgroups of processes that no longer exist. */
function sweep(base: string): void {
  for (const name of readdirSync(base)) {
    const [, pid, startTime] = NAME.exec(name) ?? [];
    if (pid === undefined || startTime === undefined) continue;
    const owner = processIdentity(Number(pid));
    if (owner?.startTime !== startTime || !isAlive(owner)) removeEmpty(join(base, name));
  }
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
