/**
 * Processes by what can be known of them from the process table: which one it is for certain, what descends from it, and
 * who carries the marker of an execution. The way to kill and to tell life where there are no cgroups, and after the
 * death of a runner. A process that leaves its session, its parent and its environment all at once escapes it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { killExecutionCgroup } from './cgroup-place.ts';
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

/** A walk over the process table can miss what forks just then, so one look that finds nothing proves little. */
const QUIET_LOOKS = 4;
const FIRST_WAIT_MS = 2;
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

/** SIGKILL to everything of the tree, again until nothing is left of it; settles then. */
export async function killProcessTree(tree: Tree): Promise<void> {
  let waitMs = FIRST_WAIT_MS;
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    const members = freeze(tree);
    for (const member of members.values()) send(member, 'SIGKILL');
    if (members.size === 0) quiet++;
    else quiet = 0;
    await sleep(waitMs);
    waitMs = quiet > 0 ? FIRST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS);
  }
}

/** Kills what remains of an execution whose runner is dead; settles when nothing is left of it. */
export async function killMarked(executionId: string, identity?: ProcessIdentity): Promise<void> {
  const tree = { executionId, main: identity };
  for (const row of findTree(tree)) killExecutionCgroup(row.pid); // takes along what has shed its marks
  await killProcessTree(tree);
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
