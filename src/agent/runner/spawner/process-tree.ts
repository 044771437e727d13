/**
 * Finds processes by the process table alone: a certain process, its descendants, and the processes with the marker of an execution. Used to
 * kill and check trees without cgroups, and after the death of a runner. A process that leaves its session, its parent and its environment at
 * the same time is not found.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { killExecutionCgroup } from './cgroup-place.ts';
import type { ProcessIdentity } from '../../../node/process-identity.ts';
import { bootId, hasVariable, type ProcessRow, processIds, processRow } from '../../../node/process-table.ts';

/** The marks of an execution's processes. */
export interface Tree {
  /** The value of EXECUTION_ID in the environment. */
  executionId: string;
  /** The main process, if it is known. */
  main?: ProcessIdentity | undefined;
  /** Whether the session id still belongs to it: the caller has seen it run, and pids have not wrapped around since. */
  sessionIsOurs?: boolean;
}

/** Number of searches without a find after which a tree counts as ended: one search can miss a process that is being forked. */
const QUIET_LOOKS = 4;
/** Time after which unreadable processes in searches without a find count as unrelated, ms. */
const MAX_DOUBT_MS = 1000;
/** Time after which a process that SIGKILL has not ended counts as unkillable, ms: it is another user's, or hangs in the kernel. */
export const TREE_KILL_TIMEOUT_MS = 30_000;
const FIRST_WAIT_MS = 2;
const MAX_WAIT_MS = 100;

/** Returns the pids of the live processes of the tree. */
export function treeMembers(tree: Tree): number[] {
  const search = new TreeSearch(tree);
  search.look();
  return search.take().map(({ pid }) => pid);
}

/** Describes a process: its pid, its program, its user. */
export function describeProcess(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const name = /^Name:\t(.*)$/m.exec(status)?.[1];
    const uid = /^Uid:\t(\d+)\t(\d+)/m.exec(status)?.[2];
    const hangs = /^State:\tD/m.test(status) ? ', which hangs in the kernel' : '';
    return `process ${pid} (${name}) of uid ${uid}${hangs}`;
  } catch {
    return `process ${pid}`;
  }
}

/** Sends SIGKILL to the whole tree until no process of it is left, or the rest counts as unkillable. */
export async function killProcessTree(tree: Tree): Promise<void> {
  const search = new TreeSearch(tree);
  const giveUpAt = performance.now() + TREE_KILL_TIMEOUT_MS;
  let waitMs = FIRST_WAIT_MS;
  let lastFoundAt = performance.now();
  for (let quiet = 0; quiet < QUIET_LOOKS && performance.now() < giveUpAt; ) {
    // One call stops all forks of the group, however many processes compete with this one for the processor.
    search.stopGroup();
    // All are stopped before any is killed, so that none forks meanwhile, or orphans a process that is found only through its parent.
    while (search.look((row) => send(row, 'SIGSTOP')) > 0);
    const members = search.take();
    for (const row of members) send(row, 'SIGKILL');
    const nothing = members.length === 0;
    if (!nothing) lastFoundAt = performance.now();
    const certain = !search.missed || performance.now() - lastFoundAt > MAX_DOUBT_MS;
    quiet = nothing && certain ? quiet + 1 : 0;
    // A process of the tree may have got the number of one that was not: before the end, all processes are read once more.
    if (quiet === 1) search.forgetStrangers();
    waitMs = nothing ? FIRST_WAIT_MS : Math.min(waitMs * 2, MAX_WAIT_MS);
    await sleep(waitMs);
  }
}

/** Kills the remaining processes of an execution whose runner is dead. Settles when none is left. */
export async function killMarked(executionId: string, identity?: ProcessIdentity): Promise<void> {
  const tree = { executionId, main: identity };
  for (const pid of treeMembers(tree)) killExecutionCgroup(pid); // Also kills processes that have removed their marks.
  await killProcessTree(tree);
}

/**
 * Searches for the live members of a tree: by marker, session, process group, and descent from any of these. It stores the processes that are
 * not members, so that later searches read new processes only, and are faster than a tree that keeps forking.
 */
class TreeSearch {
  /** Whether the last search could not read a new process, which may be a member or have forked one. */
  missed = false;
  readonly #doubted = new Set<number>();
  readonly #tree: Tree;
  readonly #variable: string;
  readonly #strangers = new Set<number>([process.pid]);
  #members = new Map<number, ProcessRow>();

  constructor(tree: Tree) {
    this.#tree = tree;
    this.#variable = `EXECUTION_ID=${tree.executionId}`;
  }

  /** Stops the process group of the main process. */
  stopGroup(): void {
    const { main } = this.#tree;
    if (main === undefined || !this.#sessionIsOurs()) return;
    try {
      process.kill(-main.pid, 'SIGSTOP');
    } catch {
      // It has no process any more.
    }
  }

  /** Reads all processes again in the next search. */
  forgetStrangers(): void {
    this.#strangers.clear();
    this.#strangers.add(process.pid);
  }

  /**
   * Looks at each process that is not known yet, and calls `found` with each new member at once: a process that keeps forking has exited a moment
   * later. Returns the number of new members.
   */
  look(found: (row: ProcessRow) => void = () => {}): number {
    const before = this.#members.size;
    const sessionIsOurs = this.#sessionIsOurs();
    const unmarked: ProcessRow[] = [];
    const join = (row: ProcessRow): void => {
      this.#members.set(row.pid, row);
      this.#strangers.delete(row.pid);
      found(row);
    };
    this.missed = false;
    for (const row of this.#unknown()) {
      if (this.#bearsMark(row, sessionIsOurs)) join(row);
      else unmarked.push(row);
    }
    for (let size = -1; size !== this.#members.size; ) {
      size = this.#members.size;
      for (const row of unmarked) if (this.#members.has(row.parent) && !this.#members.has(row.pid)) join(row);
    }
    return this.#members.size - before;
  }

  /** Returns all members found since the last call. */
  take(): ProcessRow[] {
    const members = [...this.#members.values()];
    this.#members = new Map();
    return members;
  }

  /** Yields the running processes that are neither strangers nor members. Newest first, because processes that keep forking are short-lived. */
  *#unknown(): Generator<ProcessRow> {
    for (const pid of processIds().reverse()) {
      if (this.#strangers.has(pid) || this.#members.has(pid)) continue;
      const row = processRow(pid);
      if (row === undefined || row.ended) this.#doubt(pid);
      else if (row.kernel) this.#strangers.add(pid);
      else yield row;
    }
  }

  /** Whether a process has a mark of the tree. One that can be read and has none is not a member. During an execve(2) nothing can be read. */
  #bearsMark(row: ProcessRow, sessionIsOurs: boolean): boolean {
    const { main } = this.#tree;
    if (main?.pid === row.pid && sessionIsOurs) return true;
    if (main && sessionIsOurs && (row.session === main.pid || row.group === main.pid)) return true;
    const marked = hasVariable(row.pid, this.#variable);
    if (marked === false) this.#strangers.add(row.pid);
    if (marked === undefined) this.#doubt(row.pid);
    return marked === true;
  }

  /** Counts an unreadable process once: one that may not be read, or is not reaped, stays unreadable. */
  #doubt(pid: number): void {
    if (this.#doubted.has(pid)) return;
    this.#doubted.add(pid);
    this.missed = true;
  }

  /** Whether the session id still belongs to the tree: the leader exists, or existed a short time ago. */
  #sessionIsOurs(): boolean {
    const { main, sessionIsOurs = false } = this.#tree;
    if (!main || main.bootId !== bootId()) return false;
    const leader = processRow(main.pid);
    return leader === undefined ? sessionIsOurs : leader.startTime === main.startTime;
  }
}

/** Signals the process only if it is still the one that was seen. */
function send(row: ProcessRow, signal: 'SIGSTOP' | 'SIGKILL'): void {
  if (processRow(row.pid)?.startTime !== row.startTime) return;
  try {
    process.kill(row.pid, signal);
  } catch {
    // The process has ended, or may not be signalled any more. The next search shows the difference.
  }
}

/** Whether a main process, which only our spawner reaps, has exited by now. */
export function mainHasEnded(pid: number): boolean {
  return processRow(pid)?.ended ?? true;
}
