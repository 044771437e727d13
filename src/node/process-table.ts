/** Reads the process table: from /proc on Linux, from ps(1) elsewhere. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export interface ProcessRow {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** Distinguishes it from another process that had or gets its pid. */
  startTime: string;
  /** A zombie: it and all its threads have exited, and its parent has not waited for it yet. */
  ended: boolean;
  /** A thread of the kernel, which has no environment to read. */
  kernel: boolean;
}

/** A flag in /proc/PID/stat (PF_KTHREAD of Linux). */
const KERNEL_THREAD = 0x200000;
const LINUX = process.platform === 'linux';
let boot: string | undefined;

/** Returns an id of the present boot. */
export function bootId(): string {
  boot ??= LINUX
    ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    : run('sysctl', ['-n', 'kern.boottime']);
  return boot;
}

/** Returns the pids of all visible processes. */
export function processIds(): number[] {
  if (!LINUX) return psRows(['-A']).map((row) => row.pid);
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Returns a process. `undefined` if no process has this pid. */
export function processRow(pid: number): ProcessRow | undefined {
  if (!LINUX) return psRows(['-p', String(pid)])[0];
  const stat = read(`/proc/${pid}/stat`);
  // The program's name is in brackets and may contain anything, brackets too: proc(5).
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (!fields || fields.length < 20) return undefined;
  const [state, parent, group, session] = fields;
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTime: String(fields[19]),
    ended: state === 'X' || (state === 'Z' && Number(fields[17]) <= 1),
    kernel: (Number(fields[6]) & KERNEL_THREAD) !== 0,
  };
}

/** Returns the uid of a process (Linux). Undefined if it is not visible. */
export function processOwner(pid: number): number | undefined {
  return LINUX ? statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid : undefined;
}

/** Returns the path of the program that a process runs (Linux). Undefined if it is not visible. */
export function processProgram(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** Whether the process was started with this variable (`NAME=value`). `undefined` if its environment cannot be read now. */
export function hasVariable(pid: number, variable: string): boolean | undefined {
  const environ = LINUX ? read(`/proc/${pid}/environ`) : run('ps', ['-E', '-ww', '-o', 'command=', '-p', String(pid)]);
  return environ ? environ.split(LINUX ? '\0' : ' ').includes(variable) : undefined;
}

/** Reads processes with ps(1). The process group is used as the session, because `sess` has another meaning on BSDs. */
function psRows(select: string[]): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const line of run('ps', [...select, '-o', 'pid=,ppid=,pgid=,state=,lstart=']).split('\n')) {
    const [, pid, parent, group, state, startTime] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line) ?? [];
    if (startTime === undefined) continue;
    rows.push({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: Number(group),
      startTime,
      ended: state?.startsWith('Z') === true,
      kernel: false,
    });
  }
  return rows;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function run(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}
