/** A PATH with only the tools of BusyBox. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';

/** The path of BusyBox on Debian; undefined if it is not installed, which skips the tests. */
export const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Fills `directory` with a link for each tool. Returns the value for PATH. */
export function installBusybox(directory: string): string {
  if (BUSYBOX === undefined) throw new Error('BusyBox is not installed');
  mkdirSync(directory);
  execFileSync(BUSYBOX, ['--install', '-s', directory]);
  return directory;
}
