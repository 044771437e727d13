/** The tools of BusyBox as the only ones that a program finds. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';

/** Debian's path. Undefined if it is not installed: then its tests are skipped. */
export const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Makes a directory with a link for each tool, to be used as PATH. */
export function installBusybox(directory: string): string {
  if (BUSYBOX === undefined) throw new Error('BusyBox is not installed');
  mkdirSync(directory);
  execFileSync(BUSYBOX, ['--install', '-s', directory]);
  return directory;
}
