/**
 * Finds processes by the process table alone: a certain process, its descendants, and the processes that carry the marker of an
 * execution. Kills and checks trees if there are no cgroups, and after the death of a runner. A process that leaves its session, its
 * parent and its environment all at once escapes it.
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
  /** The session id still belongs to it: the caller has seen it run, and pids have not wrapped around since. */
  sessionIsOurs?: boolean;
}

/** A walk over the process table can miss a process that is just being forked, so one search that finds nothing proves little. */
const QUIET_LOOKS = 4;
/** After this time, searches that find nothing and miss something are attributed to unrelated processes that come and go. */
const MAX_DOUBT_MS = 1000;
/** A process that SIGKILL has not ended by then belongs to somebody else, or hangs in the kernel. */
export const GIVE_UP_AFTER_MS = 30_000;
const FIRST_WAIT_MS = 2;
const LONGEST_WAIT_MS = 100;

/** Returns the numbers of the processes of the tree that are alive. */
export function treeMembers(tree: Tree): number[] {
  return new TreeSearch(tree).look().map(({ pid }) => pid);
}

/** Describes a process in words: its number, its program, its user. */
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

/** Sends SIGKILL to the whole tree, until no process of it is left or nothing helps. Settles then. */
export async function killProcessTree(tree: Tree): Promise<void> {
  const search = new TreeSearch(tree);
  const giveUpAt = performance.now() + GIVE_UP_AFTER_MS;
  let waitMs = FIRST_WAIT_MS;
  let lastFoundAt = performance.now();
  for (let quiet = 0; quiet < QUIET_LOOKS && performance.now() < giveUpAt; ) {
    // All are stopped before any is killed, so that none forks meanwhile or orphans a process that only its parent leads to.
    for (let fresh = search.look(); fresh.length > 0; fresh = search.look()) {
      for (const row of fresh) send(row, 'SIGSTOP');
    }
    const members = search.take();
    for (const row of members) send(row, 'SIGKILL');
    const nothing = members.length === 0;
    if (!nothing) lastFoundAt = performance.now();
    const certain = !search.missed || performance.now() - lastFoundAt > MAX_DOUBT_MS;
    quiet = nothing && certain ? quiet + 1 : 0;
    waitMs = nothing ? FIRST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS);
    await sleep(waitMs);
  }
}

/** Kills the remaining processes of an execution whose runner is dead. Settles when none is left. */
export async function killMarked(executionId: string, identity?: ProcessIdentity): Promise<void> {
  const tree = { executionId, main: identity };
  for (const row of new TreeSearch(tree).look()) killExecutionCgroup(row.pid); // Also kills processes that have removed their marks.
  await killProcessTree(tree);
}

/**
 * Searches for the live members of a tree: by marker, session, process group, and descent from any of these. It remembers the processes
 * that are not members, so that each search after the first reads about new processes only, and outruns a tree that keeps forking.
 */
class TreeSearch {
  /** Whether the last search came too late, or too early, for a new process: it may be a member, or have forked one. */
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

  /** Returns the members that were not known yet. */
  look(): ProcessRow[] {
    const rows = this.#unknown();
    const sessionIsOurs = this.#sessionIsOurs();
    const found: ProcessRow[] = [];
    const join = (row: ProcessRow): void => {
      this.#members.set(row.pid, row);
      found.push(row);
    };
    for (const row of rows) if (this.#bearsMark(row, sessionIsOurs)) join(row);
    for (let before = -1; before !== found.length; ) {
      before = found.length;
      for (const row of rows) if (this.#members.has(row.parent) && !this.#members.has(row.pid)) join(row);
    }
    for (const row of found) this.#strangers.delete(row.pid);
    return found;
  }

  /** Returns all members found since the last call. */
  take(): ProcessRow[] {
    const members = [...this.#members.values()];
    this.#members = new Map();
    return members;
  }

  #unknown(): ProcessRow[] {
    const rows: ProcessRow[] = [];
    this.missed = false;
    // The newest first: processes that keep forking do not live long.
    for (const pid of processIds().reverse()) {
      if (this.#strangers.has(pid) || this.#members.has(pid)) continue;
      const row = processRow(pid);
      if (row === undefined || row.ended) this.#doubt(pid);
      else if (row.kernel) this.#strangers.add(pid);
      else rows.push(row);
    }
    return rows;
  }

  /** Marks a process as a stranger if it can be read and bears no mark. In the middle of an execve(2) nothing can be read. */
  #bearsMark(row: ProcessRow, sessionIsOurs: boolean): boolean {
    const { main } = this.#tree;
    if (main?.pid === row.pid && sessionIsOurs) return true;
    if (main && sessionIsOurs && (row.session === main.pid || row.group === main.pid)) return true;
    const marked = hasVariable(row.pid, this.#variable);
    if (marked === false) this.#strangers.add(row.pid);
    if (marked === undefined) this.#doubt(row.pid);
    return marked === true;
  }

  /** Once for each: a process that nobody may read, or that nobody reaps, stays like that. */
  #doubt(pid: number): void {
    if (this.#doubted.has(pid)) return;
    this.#doubted.add(pid);
    this.missed = true;
  }

  /** A number belongs to the session while its leader exists, or was lately seen to exist. */
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
    // It has ended meanwhile, or became a process that we may not signal: the next search tells.
  }
}
