import { closeSync, fstatSync, readdirSync } from 'node:fs';

const FIRST_INHERITED = 3;

/**
 * Closes the files and directories that this process was started with: a lock that somebody held while he started the agent
 * would be held by the runner for as long as it lives. To be called first; the platform itself holds none of them.
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
    return false; // that of the folder that was just read
  }
}
