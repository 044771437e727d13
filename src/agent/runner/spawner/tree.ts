/** The process tree of one command: killed and checked by its cgroup, else by the process table. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessIdentity, processIdentity } from '../../../node/process-identity.ts';
import { TREE_KILL_TIMEOUT_MS, killProcessTree, type Tree, treeMembers } from './process-tree.ts';
import type { Cgroup } from './cgroup.ts';
import type { CgroupPool } from './cgroups.ts';
import { usageOfProcesses } from './process-usage.ts';
import type { Usage } from './spawner.ts';

const FIRST_WAIT_MS = 1;
const MAX_WAIT_MS = 100;

/** The processes of one command: kills them and checks whether any is alive. */
export class ProcessTree {
  readonly #executionId: string;
  readonly #pool: CgroupPool | undefined;
  #cgroup: Cgroup | undefined;
  #main: ProcessIdentity | undefined;
  #started = false;
  #whenStarted: PromiseWithResolvers<void> | undefined;
  #killing: Promise<void> | undefined;

  /** `cgroup` goes back into `pool` at `release`. */
  constructor(executionId: string, pool?: CgroupPool, cgroup?: Cgroup) {
    this.#executionId = executionId;
    this.#pool = pool;
    this.#cgroup = cgroup;
  }

  /** `inCgroup`: whether the start into the cgroup worked. */
  started(pid: number, inCgroup: boolean): void {
    if (!inCgroup) {
      this.#cgroup?.dispose(); // A cgroup that did not work once is not tried again.
      this.#cgroup = undefined;
      this.#main = processIdentity(pid);
    }
    this.#decided();
  }

  /** Sends SIGKILL to the whole tree. Settles when no process of it is left, or nothing helps. Waits if the start is not decided yet. */
  kill(): Promise<void> {
    this.#killing ??= this.#kill().finally(() => {
      this.#killing = undefined;
    });
    return this.#killing;
  }

  /** Whether any process of it is alive. */
  alive(): boolean {
    return this.#cgroup ? this.#cgroup.populated() : this.members().length > 0;
  }

  /** Returns the numbers of its processes that are alive. */
  members(): number[] {
    return this.#cgroup?.members() ?? treeMembers(this.#tree());
  }

  /** The main process has ended. `leftNothing`: no process of the tree is left; false if that is not known. */
  ended(leftNothing: boolean): void {
    if (this.#cgroup !== undefined) this.#cgroup.leftNothing = leftNothing;
  }

  /** Returns the usage according to its cgroup. Nothing without one. */
  usage(): Partial<Usage> {
    return this.#cgroup?.usage() ?? {};
  }

  /** Returns the usage of its live processes and of those that they have waited for: by its cgroup, else by the process table. */
  usageSoFar(): Usage | undefined {
    const known = this.usage();
    if (isComplete(known)) return known;
    const processes = usageOfProcesses(this.members());
    return processes && { ...processes, ...known };
  }

  outOfMemory(): boolean {
    return this.#cgroup?.outOfMemory() ?? false;
  }

  /** The tree is not needed any more. A kill under way is finished. */
  release(): void {
    this.#decided();
    if (this.#killing === undefined) this.#dropCgroup();
    else void this.#killing.then(() => this.#dropCgroup());
  }

  #decided(): void {
    this.#started = true;
    this.#whenStarted?.resolve();
  }

  #dropCgroup(): void {
    if (this.#cgroup) this.#pool?.giveBack(this.#cgroup);
    this.#cgroup = undefined;
  }

  async #kill(): Promise<void> {
    if (!this.#started) {
      this.#whenStarted = Promise.withResolvers();
      await this.#whenStarted.promise;
    }
    const cgroup = this.#cgroup;
    if (!cgroup) return killProcessTree(this.#tree());
    const giveUpAt = performance.now() + TREE_KILL_TIMEOUT_MS;
    for (
      let waitMs = FIRST_WAIT_MS;
      cgroup.populated() && performance.now() < giveUpAt;
      waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)
    ) {
      cgroup.kill();
      await sleep(waitMs);
    }
  }

  #tree(): Tree {
    return { executionId: this.#executionId, main: this.#main, sessionIsOurs: true };
  }
}

function isComplete(usage: Partial<Usage>): usage is Usage {
  return usage.cpuUserMs !== undefined && usage.cpuSystemMs !== undefined && usage.maxMemoryBytes !== undefined;
}
