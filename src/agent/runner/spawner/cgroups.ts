/**
 * Gives each running command a cgroup (v2), if this process may create cgroups. Then no process of the command can leave its tree, and the tree
 * can be limited and measured as a whole. A command gets a new cgroup, which is made in advance and removed after the end is reported. The cgroup
 * of the command before is used again if that command has left no process in it and changed no setting (one that runs as the owner can), and if
 * neither memory nor I/O is counted.
 */
import { accessSync, constants, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Cgroup } from './cgroup.ts';
import { AGENT_SUBGROUP, cgroupOf, readControl, removeEmpty, writeControl } from './cgroup-place.ts';
import { ChangeWatch } from '../../../node/directory.ts';
import { isAlive, processIdentity } from '../../../node/process-identity.ts';
import type { SpawnLimits } from './spawner.ts';

/** Number of cgroups with background processes that are checked again each time that others are removed. */
const RETIRED_PER_TIDY = 2;
const NAME = /^execplane-(\d+)-(\d+)-\d+$/;
/** The controller that each limit needs. */
const CONTROLLERS = { memoryBytes: 'memory', cpus: 'cpu', pids: 'pids' } as const;
let pools = 0;

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
  /** The one cgroup that may be used again. It is watched since before its first command, and is ready or in use. */
  #kept: { cgroup: Cgroup; watch: ChangeWatch } | undefined;
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
    const ready = this.#takeReady();
    // One that comes back needs no other made ahead.
    if (ready === undefined || ready !== this.#kept?.cgroup) this.#wanted = true;
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

  /** Removes returned cgroups, unless they are used again, and makes the next one. Nothing of it is urgent. */
  tidy(): void {
    const returned = this.#returned.splice(0);
    if (returned.length > 0) for (const cgroup of this.#retired.splice(0, RETIRED_PER_TIDY)) this.#remove(cgroup);
    for (const cgroup of returned) if (!this.#keep(cgroup)) this.#remove(cgroup);
    if (this.#wanted && this.#ready === undefined) {
      this.#wanted = false;
      this.#ready = this.#make();
    }
    if (returned.some((cgroup) => cgroup.leftNothing)) this.#watchReady();
  }

  /** Watches the next cgroup, so that it can be used again. With the controllers memory and io it cannot: their counts would continue. */
  #watchReady(): void {
    const isRenewable = !this.#controllers.has('memory') && !this.#controllers.has('io');
    if (!isRenewable || this.#ready === undefined || this.#kept?.watch.unchanged) return;
    const watch = new ChangeWatch(this.#ready.path);
    this.#kept = watch.unchanged ? { cgroup: this.#ready, watch } : undefined;
  }

  /** Makes the returned cgroup the next one. Returns false if it may not be used again. */
  #keep(cgroup: Cgroup): boolean {
    if (this.#kept?.cgroup !== cgroup) return false;
    if (this.#ready === undefined && cgroup.leftNothing && this.#kept.watch.unchanged) {
      cgroup.renew();
      this.#ready = cgroup;
      return true;
    }
    this.#dropKept();
    return false;
  }

  #dropKept(): void {
    this.#kept?.watch.close();
    this.#kept = undefined;
  }

  #takeReady(): Cgroup | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready === undefined || ready !== this.#kept?.cgroup || this.#kept.watch.unchanged) return ready;
    this.#dropKept();
    this.#returned.push(ready);
    return undefined;
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
    this.#dropKept();
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
