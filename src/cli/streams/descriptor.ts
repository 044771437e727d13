/** Descriptors 0, 1 and 2. Other processes share them, so their mode is never changed. */
import { constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { isatty } from 'node:tty';
import { environment } from '../config.ts';

export type StreamName = 'stdin' | 'stdout' | 'stderr';

/** The kind of a descriptor. `file`: reads and writes do not wait (files and devices). */
export type DescriptorKind = 'file' | 'pipe' | 'socket' | 'terminal';

/** Returns the kind of file behind a descriptor. */
export function kindOf(descriptor: number): DescriptorKind {
  if (isatty(descriptor)) return 'terminal';
  const stat = fstatSync(descriptor);
  if (stat.isFIFO()) return 'pipe';
  return stat.isSocket() ? 'socket' : 'file';
}

/**
 * Whether a stream was closed when the program was started (`>&-`). Node opens /dev/null in its place before any script runs, so the
 * launcher (launcher.sh) checks and passes the answer on.
 */
export function wasClosed(name: StreamName): boolean {
  return (environment()['EXECPLANE_CLOSED_STREAMS'] ?? '').split(' ').includes(name);
}

/**
 * Opens the pipe behind a descriptor again. Node sets O_NONBLOCK on pipes, which would make writes fail for every process that shares the
 * description; a new description is not shared. Undefined if the system refuses.
 */
export function openPipeAnew(descriptor: number, mode: 'read' | 'write'): number | undefined {
  const path = `/proc/self/fd/${descriptor}`;
  const access = mode === 'read' ? constants.O_RDONLY : constants.O_WRONLY;
  try {
    // If the writers of a named pipe left before it was opened, its readers do not learn of the end (fifo(7)).
    if (mode === 'read' && !readlinkSync(path).startsWith('pipe:')) return undefined;
    return openSync(path, access | constants.O_NONBLOCK);
  } catch {
    // A pipe of another user, or no /proc.
    return undefined;
  }
}

/** Returns stdout or stderr if it is a terminal. Node's stream is made only then: for a pipe it would change the mode. */
export function terminalStream(name: 'stdout' | 'stderr'): NodeJS.WriteStream | undefined {
  return isatty(name === 'stdout' ? 1 : 2) ? process[name] : undefined;
}

/** Whether stdout and stderr are the same terminal, which shows them as one text. */
export function isSameTerminal(): boolean {
  return isatty(1) && isatty(2) && fstatSync(1).rdev === fstatSync(2).rdev;
}

/** Whether stdout and stderr are one file or pipe (`2>&1`): then their order matters. */
export function isSameFile(): boolean {
  const [stdout, stderr] = [fstatSync(1), fstatSync(2)];
  return stdout.dev === stderr.dev && stdout.ino === stderr.ino && !wasClosed('stdout') && !wasClosed('stderr');
}
