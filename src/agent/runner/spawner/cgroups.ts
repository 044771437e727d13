/**
 * One cgroup (v2) for each running command, where this process may make them: then nothing the command starts can leave
 * its tree, whatever it forks, and one write kills it all. Directories are pooled, as one costs more than a process start.
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupOf } from '../cgroup-place.ts';
import { isAlive, processIdentity } from '../../../node/process-identity.ts';

/** Empty directories kept for later. */
const MAX_IDLE = 256;
/** Directories with background processes looked at again for each one asked for. */
const RETIRED_PER_ACQUIRE = 2;
const NAME = /^execplane-(\d+)-(\d+)-\d+$/;
let pools = 0;

/** The cgroup of one command. */
export class Cgroup {
  readonly path: string;
  /** It was killed once: some kernels (seen on 6.18) then kill whatever is started in it later as well. */
  spent = false;
  readonly #events: number;
  readonly #buffer = Buffer.alloc(64);

  constructor(path: string) {
    mkdirSync(path);
    this.path = path;
    this.#events = openSync(join(path, 'cgroup.events'), 'r');
  }

  /** Whether a process lives in it or below it; not so where somebody has removed it. */
  populated(): boolean {
    try {
      const length = readSync(this.#events, this.#buffer, 0, this.#buffer.length, 0);
      return this.#buffer.toString('latin1', 0, length).includes('populated 1');
    } catch {
      return false;
    }
  }

  /** SIGKILL to every process in it, also those that are being forked just now. */
  kill(): void {
    this.spent = true;
    writeFileSync(join(this.path, 'cgroup.kill'), '1');
  }

  /** Removes the directory where it is empty. */
  dispose(): void {
    closeSync(this.#events);
    removeIfEmpty(this.path);
  }
}

export class CgroupPool {
  readonly #root: string;
  readonly #idle: Cgroup[] = [];
  /** Background processes of commands that have ended live in these. */
  readonly #retired: Cgroup[] = [];
  #made = 0;
  #closed = false;

  constructor(root: string) {
    this.#root = root;
  }

  /** An empty cgroup, to be given back; `undefined` where none can be made. */
  acquire(): Cgroup | undefined {
    const idle = this.#idle.pop();
    if (idle) return idle;
    for (let i = 0; i < RETIRED_PER_ACQUIRE; i++) {
      const retired = this.#retired.shift();
      if (!retired) break;
      if (retired.populated()) this.#retired.push(retired);
      else if (retired.spent) retired.dispose();
      else return retired;
    }
    try {
      return new Cgroup(join(this.#root, String(++this.#made)));
    } catch {
      return undefined;
    }
  }

  /** Takes back a cgroup; one that still has processes rests until they are gone. */
  giveBack(cgroup: Cgroup): void {
    if (this.#closed) cgroup.dispose();
    else if (cgroup.populated()) this.#retired.push(cgroup);
    else if (!cgroup.spent && this.#idle.length < MAX_IDLE) this.#idle.push(cgroup);
    else cgroup.dispose();
  }

  /** Removes what is empty; what background processes live in stays, and is removed by whoever opens a pool here later. */
  close(): void {
    this.#closed = true;
    for (const cgroup of [...this.#idle.splice(0), ...this.#retired.splice(0)]) cgroup.dispose();
    removeIfEmpty(this.#root);
  }
}

/** A pool below this process's own cgroup; `undefined` where the system or its permissions have none for us. */
export function openCgroupPool(): CgroupPool | undefined {
  const own = cgroupOf('self')?.directory;
  const self = processIdentity(process.pid);
  if (!own || !self) return undefined;
  try {
    sweep(own);
    const root = join(own, `execplane-${self.pid}-${self.startTime}-${++pools}`);
    mkdirSync(root);
    if (existsSync(join(root, 'cgroup.kill'))) return new CgroupPool(root);
    removeIfEmpty(root);
  } catch {
    // Not ours to write in: the process table has to do (process-tree.ts).
  }
  return undefined;
}

/** Removes the empty leftovers of processes that are no more. */
function sweep(own: string): void {
  for (const name of readdirSync(own)) {
    const [, pid, startTime] = NAME.exec(name) ?? [];
    if (pid === undefined || startTime === undefined) continue;
    const owner = processIdentity(Number(pid));
    if (owner?.startTime === startTime && isAlive(owner)) continue;
    for (const entry of readdirSync(join(own, name), { withFileTypes: true })) {
      if (entry.isDirectory()) removeIfEmpty(join(own, name, entry.name));
    }
    removeIfEmpty(join(own, name));
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody lives in it: whoever opens a pool here later removes it.
  }
}
