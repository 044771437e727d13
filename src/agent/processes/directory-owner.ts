/**
 * The state directory belongs to the agent's user, who may put anything there: symbolic links to files of root, pids of processes of
 * root. Root acts on it as that user, so that it can do no more than the user could.
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

/** The user that root has to become. Undefined if this is not root, if the directory is root's own, or if there is none. */
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

/** A symbolic link further up may lead to a directory of root, which would then count as root's own. */
function refuseLinksOnTheWay(dir: string, descriptor: number): void {
  if (process.platform !== 'linux') return;
  const real = readlinkSync(`/proc/self/fd/${descriptor}`);
  if (real !== resolve(dir)) throw new Error(`${dir} is reached over a symbolic link: name the directory as ${real}.`);
}
