/**
 * Gives each running command a cgroup (v2), if this process may create cgroups. Then no process of the command can leave its tree, and the tree
 * can be limited and measured as a whole. Each command gets a new cgroup: a command that runs as the owner may have changed the settings of its
 * cgroup, and reading all of them back costs more than mkdir (31 µs).
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AGENT_SUBGROUP, cgroupOf, membersOf, removed, removeEmpty } from './cgroup-place.ts';
import { isAlive, processIdentity } from '../../../node/process-identity.ts';
import type { SpawnLimits, Usage } from './spawner.ts';

/** Number of cgroups with background processes that are checked again for each new cgroup. */
const RETIRED_PER_ACQUIRE = 2;
const NAME = /^execplane-(\d+)-(\d+)-\d+$/;
const CPU_PERIOD_US = 100_000;
/** The controller that each limit needs. */
const CONTROLLERS = { memoryBytes: 'memory', cpus: 'cpu', pids: 'pids' } as const;
const PIECE = Buffer.alloc(4096);
let pools = 0;

/** The cgroup of one command. */
export class Cgroup {
  readonly path: string;
  /** Descriptor of cgroup.events, opened on demand: most commands end with an empty cgroup, which `remove` detects without it. */
  #events: number | undefined;
  readonly #controllers: ReadonlySet<string>;

  /** `controllers`: the controllers that measure the processes of this cgroup. */
  constructor(path: string, limits: SpawnLimits = {}, controllers: ReadonlySet<string> = new Set()) {
    mkdirSync(path);
    this.path = path;
    this.#controllers = controllers;
    try {
      this.#limit(limits);
    } catch (error) {
      removeEmpty(path);
      throw error;
    }
  }

  /** Whether there is a process in the cgroup or below it. False if the cgroup was removed. */
  populated(): boolean {
    try {
      this.#events ??= openSync(join(this.path, 'cgroup.events'), 'r');
      const length = readSync(this.#events, PIECE, 0, PIECE.length, 0);
      return PIECE.toString('latin1', 0, length).includes('populated 1');
    } catch {
      return false;
    }
  }

  /**
   * Sends SIGKILL to every process in the cgroup. cgroup.kill also kills processes that are being forked, but not a process whose main thread
   * has ended before the others (pthread_exit). Such a process is killed by its pid.
   */
  kill(): void {
    write(this.path, 'cgroup.kill', '1');
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
    const cpu = numbersOf(readPiece(this.path, 'cpu.stat'));
    const peak = Number(this.#measured('memory', 'memory.peak') ?? Number.NaN);
    const io = this.#measured('io', 'io.stat');
    return {
      ...(cpu['user_usec'] !== undefined && { cpuUserMs: Math.round(cpu['user_usec'] / 1000) }),
      ...(cpu['system_usec'] !== undefined && { cpuSystemMs: Math.round(cpu['system_usec'] / 1000) }),
      ...(Number.isFinite(peak) && { maxMemoryBytes: peak }),
      ...(io !== undefined && { ioReadBytes: sumOf(io, 'rbytes'), ioWriteBytes: sumOf(io, 'wbytes') }),
    };
  }

  #measured(controller: string, name: string): string | undefined {
    return this.#controllers.has(controller) ? read(this.path, name) : undefined;
  }

  /** Whether the kernel killed a process of it because the memory limit was reached. */
  outOfMemory(): boolean {
    return (numbersOf(this.#measured('memory', 'memory.events'))['oom_kill'] ?? 0) > 0;
  }

  /** Removes the cgroup, unless there is a process in it or a cgroup below it. Returns whether it was removed. */
  remove(): boolean {
    if (!removed(this.path)) return false;
    this.#close();
    return true;
  }

  /** Removes the cgroup, and those that the command created below it, if they have no processes. It is not used any more. */
  dispose(): void {
    this.#close();
    removeEmpty(this.path);
  }

  #close(): void {
    if (this.#events !== undefined) closeSync(this.#events);
    this.#events = undefined;
  }

  #limit({ memoryBytes, cpus, pids }: SpawnLimits): void {
    if (memoryBytes !== undefined) {
      write(this.path, 'memory.max', String(memoryBytes));
      if (existsSync(join(this.path, 'memory.swap.max'))) write(this.path, 'memory.swap.max', '0');
      write(this.path, 'memory.oom.group', '1');
    }
    if (cpus !== undefined) write(this.path, 'cpu.max', `${Math.round(cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    if (pids !== undefined) write(this.path, 'pids.max', String(pids));
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
  #made = 0;
  #closed = false;

  constructor(root: string, controllers: ReadonlySet<string> = new Set()) {
    this.#root = root;
    this.#controllers = controllers;
    const names = Object.keys(CONTROLLERS) as (keyof SpawnLimits)[];
    this.limits = new Set(names.filter((name) => controllers.has(CONTROLLERS[name])));
  }

  /** Returns an empty cgroup, to be returned by `giveBack`. `undefined` if none can be created. */
  acquire(limits?: SpawnLimits): Cgroup | undefined {
    for (const retired of this.#retired.splice(0, RETIRED_PER_ACQUIRE)) this.giveBack(retired);
    return this.#make(limits) ?? (this.#restoreRoot() ? this.#make(limits) : undefined);
  }

  #make(limits?: SpawnLimits): Cgroup | undefined {
    try {
      return new Cgroup(join(this.#root, String(++this.#made)), limits, this.#controllers);
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

  /** Returns a cgroup to the pool. One that still has processes is kept until they have ended. */
  giveBack(cgroup: Cgroup): void {
    if (cgroup.remove()) return;
    if (!this.#closed && cgroup.populated()) this.#retired.push(cgroup);
    else cgroup.dispose();
  }

  /** Removes empty cgroups. Those with background processes stay; the next process that opens a pool here removes them. */
  close(): void {
    this.#closed = true;
    for (const cgroup of this.#retired.splice(0)) cgroup.dispose();
    removeEmpty(this.#root);
  }
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
        write(directory, 'cgroup.subtree_control', `+${controller}`);
      } catch {
        // The controller is then missing in the list that is read below.
      }
    }
  }
  return new Set(read(root, 'cgroup.subtree_control')?.trim().split(' '));
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

function write(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

function read(directory: string, name: string): string | undefined {
  try {
    return readFileSync(join(directory, name), 'latin1');
  } catch {
    return undefined;
  }
}

/** Like `read`, for a file of less than a page, which the kernel returns at once: two system calls fewer, for each command. */
function readPiece(directory: string, name: string): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(join(directory, name), 'r');
    return PIECE.toString('latin1', 0, readSync(descriptor, PIECE, 0, PIECE.length, null));
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Parses the lines `NAME NUMBER` of a file. */
function numbersOf(text = ''): Record<string, number> {
  const pairs = [...text.matchAll(/^(\S+) (\d+)$/gm)];
  return Object.fromEntries(pairs.map(([, name = '', value]) => [name, Number(value)]));
}

/** Sums `NAME=NUMBER` over all lines. */
function sumOf(text: string, name: string): number {
  return [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))].reduce((sum, [, value]) => sum + Number(value), 0);
}
