import { closeSync, fstatSync, readdirSync } from 'node:fs';

const FIRST_INHERITED = 3;

/**
 * Closes the files and directories that this process inherited. Otherwise the runner would hold a lock of the process that started the agent
 * for its whole life. Call it first, before the platform opens files of its own.
 */
export function closeInherited(): void {
  if (process.platform !== 'linux') return;
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (fd >= FIRST_INHERITED && isFileOrDirectory(fd)) closeSync(fd);
  }
}

function isFileOrDirectory(fd: number): boolean {
  try {
    const facts = fstatSync(fd);
    return facts.isFile() || facts.isDirectory();
  } catch {
    return false; // The descriptor of the folder that was just read.
  }
}
