/**
 * The drop folder: files that a command puts into it become artifacts. It is outside the agent's directory, which is closed to other users.
 * On a disk, mkdir and rmdir may wait for other writes. So the next folder is made, and empty ones are removed, when no report waits for it.
 */
import { type BigIntStats, chownSync, lstatSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../../node/error-code.ts';

/** Path prefix of drop folders. It is read once, because tmpdir() reads the environment each time. */
const PREFIX = join(tmpdir(), 'execplane-artifacts-');
const OWN_UID = process.getuid?.();
/** Time for which a folder that nobody uses is taken to exist, ms. It is looked at again after that. */
const CHECKED_MS = 1000;
/** Changes after which a file system that shows each of them is trusted. On an older kernel two of them have the same time, almost always. */
const PROBES = 8;

/** The variable that names the drop folder to a command. */
export const ARTIFACTS_VARIABLE = 'ARTIFACTS_DIR';

export interface DropFolder {
  path: string;
  /** The folder as it was made, if the file system stamps each change. It is empty if nothing has changed. */
  made?: BigIntStats;
}

/** A folder that is made for the next command. */
interface ReadyFolder extends DropFolder {
  made: BigIntStats;
  /** When it was last seen to be unchanged. */
  checkedAt: number;
}

/** Makes and removes the drop folders of commands. Each command has a new one. */
export class DropFolders {
  #ready: ReadyFolder | undefined;
  /** Empty folders of ended commands. */
  #used: string[] = [];
  #stampsChanges: boolean | undefined;
  #wanted = false;

  /** Returns an empty folder (0700) of the user. Undefined if the disk has no room; the command then runs without one. */
  take(owner: { uid: number; gid: number }): DropFolder | undefined {
    this.#wanted = true;
    try {
      if (owner.uid === OWN_UID) return this.#takeReady() ?? { path: mkdtempSync(PREFIX) };
      const path = mkdtempSync(PREFIX);
      chownSync(path, owner.uid, owner.gid);
      return { path };
    } catch {
      return undefined;
    }
  }

  /** Whether the folder is empty. An empty one is removed, now or at the next `tidy`. */
  giveBack({ path, made }: DropFolder): boolean {
    if (made === undefined || !isUnchanged(path, made)) return removeEmpty(path);
    this.#used.push(path);
    return true;
  }

  /** Removes the folders of ended commands and makes the next one. Nothing of it is urgent. */
  tidy(): void {
    for (const path of this.#used.splice(0)) {
      // A background process has used it after the end of its command.
      if (!removeEmpty(path)) void rm(path, { recursive: true, force: true }).catch(() => {});
    }
    if (!this.#wanted || this.#ready !== undefined) return;
    this.#wanted = false;
    this.#stampsChanges ??= stampsEachChange();
    if (this.#stampsChanges) this.#ready = makeReady();
  }

  close(): void {
    this.#wanted = false;
    this.tidy();
    if (this.#ready !== undefined) removeEmpty(this.#ready.path);
    this.#ready = undefined;
  }

  #takeReady(): DropFolder | undefined {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready === undefined) return undefined;
    const isPresent = performance.now() - ready.checkedAt < CHECKED_MS || isUnchanged(ready.path, ready.made);
    return isPresent ? { path: ready.path, made: ready.made } : undefined;
  }
}

function makeReady(): ReadyFolder | undefined {
  try {
    const path = mkdtempSync(PREFIX);
    return { path, made: lstatSync(path, { bigint: true }), checkedAt: performance.now() };
  } catch {
    return undefined;
  }
}

/** Whether it is the folder that was made, and nothing was added, removed or set since then. The change time cannot be set by a process. */
function isUnchanged(path: string, made: BigIntStats): boolean {
  const now = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return now !== undefined && now.ino === made.ino && now.dev === made.dev && now.ctimeNs === made.ctimeNs;
}

/** Whether each change of a folder gets a time of its own once the last time was read: Linux has such times from 6.13 on, for most file systems. */
function stampsEachChange(): boolean {
  try {
    const folder = mkdtempSync(PREFIX);
    let isNew = true;
    for (let probe = 0; isNew && probe < PROBES; probe++) {
      const before = lstatSync(folder, { bigint: true });
      mkdirSync(join(folder, String(probe)));
      isNew = !isUnchanged(folder, before);
    }
    rmSync(folder, { recursive: true, force: true });
    return isNew;
  } catch {
    return false;
  }
}

/** Removes the folder if it is empty. Returns false if it is not. */
function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errorCode(error) === 'ENOENT';
  }
}
