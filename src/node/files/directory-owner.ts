/**
 * Lets root act on a directory of a service as the directory's owner. The user of the service may put anything there, such as symbolic links
 * to files of root or pids of root's processes. As that user, root can do no more than the user could.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../config-error.ts';
import { errorCode } from '../error-code.ts';

const ROOT = 0;

/** A directory, and the setting that names it. */
export interface ConfiguredDirectory {
  setting: string;
  dir: string;
}

/**
 * If this process is root, becomes the owner of `dir` for the rest of its life. Throws ConfigError if the path of `dir` leads over a symbolic link.
 */
export function becomeOwnerOf(directory: ConfiguredDirectory): void {
  const owner = ownerFor(directory);
  if (owner === undefined) return;
  process.setgroups?.([owner.gid]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}

/** If this process is root, calls `touch` as the owner of `dir`. `touch` must be done when it returns. */
export function asOwnerOf<T>(directory: ConfiguredDirectory, touch: () => T): T {
  const owner = ownerFor(directory);
  if (owner === undefined) return touch();
  const groups = process.getgroups?.() ?? [];
  const gid = process.getegid?.() ?? ROOT;
  process.setgroups?.([owner.gid]);
  process.setegid?.(owner.gid);
  process.seteuid?.(owner.uid);
  try {
    return touch();
  } finally {
    process.seteuid?.(ROOT);
    process.setegid?.(gid);
    process.setgroups?.(groups);
  }
}

interface Owner {
  uid: number;
  gid: number;
}

/** Returns the user that root has to become. Undefined if this is not root, or the directory is root's own or does not exist. */
function ownerFor({ setting, dir }: ConfiguredDirectory): Owner | undefined {
  if (process.geteuid?.() !== ROOT) return undefined;
  let descriptor: number;
  try {
    descriptor = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new ConfigError(`${setting}: ${dir} is not a directory, or is a symbolic link: name the directory itself`, {
      cause: error,
    });
  }
  try {
    const { uid, gid } = fstatSync(descriptor);
    refuseLinksOnTheWay({ setting, dir }, descriptor);
    return uid === ROOT ? undefined : { uid, gid };
  } finally {
    closeSync(descriptor);
  }
}

/** Throws for a symbolic link in the path: it may lead to a directory of root, which would then count as root's own. */
function refuseLinksOnTheWay({ setting, dir }: ConfiguredDirectory, descriptor: number): void {
  if (process.platform !== 'linux') return;
  const real = readlinkSync(`/proc/self/fd/${descriptor}`);
  if (real !== resolve(dir))
    throw new ConfigError(`${setting}: ${dir} is reached over a symbolic link: name the directory as ${real}`);
}
