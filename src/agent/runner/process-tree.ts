/**
 * Processes by what can be known of them from the process table: which one it is for certain, what descends from it, and
 * who carries the marker of an execution. The way to kill and to tell life where there are no cgroups, and after the
 * death of a runner. A process that leaves its session, its parent and its environment all at once escapes it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bootId, carriesMarker, type ProcessRow, processRow, processTable } from './process-table.ts';

/** One process, for certain: numbers are used again, also over a reboot. */
export interface ProcessIdentity {
  pid: number;
  /** As the process table gives it (Linux: clock ticks since boot). */
  startTime: string;
  bootId: string;
}

/** What belongs to an execution. */
export interface Tree {
  /** The value of EXECUTION_ID in the environment. */
  executionId: string;
  /** The main process, where it is known. */
  main?: ProcessIdentity | undefined;
  /** Its session is still its own: the caller has seen it run, and did not sleep over a turn of the pid counter. */
  sessionIsOurs?: boolean;
}

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 100;

/** The identity of a running process (or zombie); `undefined` when there is none of this number. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const row = processRow(pid);
  return row && { pid, startTime: row.startTime, bootId: bootId() };
}

/** Whether this very process, and no stranger with its number, exists and has not ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const row = processRow(identity.pid);
  return row !== undefined && row.startTime === identity.startTime && !row.ended;
}

/** Whether anything of the tree is alive. */
export function treeAlive(tree: Tree): boolean {
  return findTree(tree).length > 0;
}

/** SIGKILL to everything of the tree, again until nothing is left; settles then, or once `signal` aborts. */
export async function killProcessTree(tree: Tree, signal?: AbortSignal): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  while (signal?.aborted !== true) {
    const members = freeze(tree);
    if (members.size === 0) return;
    for (const member of members.values()) send(member, 'SIGKILL');
    await sleep(waitMs);
    waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
  }
}

/** Kills what remains of an execution whose runner is dead; settles when nothing is left of it. */
export async function killMarked(executionId: string, identity?: ProcessIdentity): Promise<void> {
  await killProcessTree({ executionId, main: identity });
}

/** Stops every member, so that none forks behind our back or leaves orphans, until no new one turns up. */
function freeze(tree: Tree): Map<number, ProcessRow> {
  const members = new Map<number, ProcessRow>();
  for (;;) {
    const fresh = findTree(tree, members).filter((row) => !members.has(row.pid));
    if (fresh.length === 0) return members;
    for (const row of fresh) {
      members.set(row.pid, row);
      send(row, 'SIGSTOP');
    }
  }
}

/** The live members, by marker, session, process group, and descent from any of these or from `known`. */
function findTree(tree: Tree, known: ReadonlyMap<number, ProcessRow> = new Map()): ProcessRow[] {
  const rows = processTable();
  const { main } = tree;
  const leader = main && main.bootId === bootId() ? rows.find((row) => row.pid === main.pid) : undefined;
  const leaderIsMain = leader !== undefined && leader.startTime === main?.startTime;
  const sessionIsOurs = leaderIsMain || (leader === undefined && tree.sessionIsOurs === true);
  const members = new Set<number>(known.keys());
  const marker = `EXECUTION_ID=${tree.executionId}`;
  for (const row of rows) {
    const bySession = main !== undefined && sessionIsOurs && (row.session === main.pid || row.group === main.pid);
    if ((leaderIsMain && row === leader) || bySession || (!row.ended && carriesMarker(row.pid, marker)))
      members.add(row.pid);
  }
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const row of rows) if (members.has(row.parent)) members.add(row.pid);
  }
  return rows.filter((row) => members.has(row.pid) && !row.ended && row.pid !== process.pid);
}

/** Signals the process only if it is still the one that was seen. */
function send(row: ProcessRow, signal: 'SIGSTOP' | 'SIGKILL'): void {
  if (processRow(row.pid)?.startTime !== row.startTime) return;
  try {
    process.kill(row.pid, signal);
  } catch {
    // It has ended meanwhile, or has become somebody we may not signal: the next look tells.
  }
}
