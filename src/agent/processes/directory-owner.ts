/**
 * Lets root act on the state directory as the directory's owner. The agent's user may put anything there, such as symbolic links to files of
 * root or pids of root's processes. As that user, root can do no more than the user could.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode } from '../../node/error-code.ts';

const ROOT = 0;

/**
 * If this process is root, becomes the owner of `dir` for the rest of its life. Throws if the path of `dir` leads over a symbolic link.
 */
export function becomeOwnerOf(dir: string): void {
  const owner = ownerFor(dir);
  if (owner === undefined) return;
  process.setgroups?.([owner.gid]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}

/** If this process is root, calls `touch` as the owner of `dir`. `touch` must be done when it returns. */
export function asOwnerOf<T>(dir: string, touch: () => T): T {
  const owner = ownerFor(dir);
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
function ownerFor(dir: string): Owner | undefined {
  if (process.geteuid?.() !== ROOT) return undefined;
  let descriptor: number;
  try {
    descriptor = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Error(`${dir} is not a directory, or is a symbolic link: name the directory itself.`, { cause: error });
  }
  try {
    const { uid, gid } = fstatSync(descriptor);
    refuseLinksOnTheWay(dir, descriptor);
    return uid === ROOT ? undefined : { uid, gid };
  } finally {
    closeSync(descriptor);
  }
}

/** Throws for a symbolic link in the path: it may lead to a directory of root, which would then count as root's own. */
function refuseLinksOnTheWay(dir: string, descriptor: number): void {
  if (process.platform !== 'linux') return;
  const real = readlinkSync(`/proc/self/fd/${descriptor}`);
  if (real !== resolve(dir)) throw new Error(`${dir} is reached over a symbolic link: name the directory as ${real}.`);
}
