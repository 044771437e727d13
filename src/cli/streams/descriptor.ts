/** Descriptors 0, 1 and 2, which other processes share: their mode is never changed. */
import { constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { isatty } from 'node:tty';

/** `file`: reads and writes of it do not wait, as with files and devices. */
export type DescriptorKind = 'file' | 'pipe' | 'socket' | 'terminal';

export function kindOf(descriptor: number): DescriptorKind {
  if (isatty(descriptor)) return 'terminal';
  const stat = fstatSync(descriptor);
  if (stat.isFIFO()) return 'pipe';
  return stat.isSocket() ? 'socket' : 'file';
}

/**
 * Opens the pipe behind a descriptor anew. Node sets O_NONBLOCK on pipes, which would make the writes of all others that
 * share the description fail; on a description of our own it concerns nobody else. Undefined if the system refuses.
 */
export function openPipeAnew(descriptor: number, mode: 'read' | 'write'): number | undefined {
  const path = `/proc/self/fd/${descriptor}`;
  const access = mode === 'read' ? constants.O_RDONLY : constants.O_WRONLY;
  try {
    // The end of a named pipe whose writers left before it was opened is not told to those who wait for it (fifo(7)).
    if (mode === 'read' && !readlinkSync(path).startsWith('pipe:')) return undefined;
    return openSync(path, access | constants.O_NONBLOCK);
  } catch {
    // Another user's pipe, or no /proc.
    return undefined;
  }
}

/** Stdout or stderr if it is a terminal. The stream of Node is made only then: made for a pipe it would change its mode. */
export function terminalStream(name: 'stdout' | 'stderr'): NodeJS.WriteStream | undefined {
  return isatty(name === 'stdout' ? 1 : 2) ? process[name] : undefined;
}

/** Whether stdout and stderr are one terminal, where people see them as one text. */
export function isSameTerminal(): boolean {
  return isatty(1) && isatty(2) && fstatSync(1).rdev === fstatSync(2).rdev;
}
