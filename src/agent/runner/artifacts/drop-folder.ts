/**
 * The drop folder: files that a command puts into it become artifacts. It is outside the agent's directory, which is closed to other users.
 */
import { chownSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../../node/error-code.ts';

/** Path prefix of drop folders. It is read once, because tmpdir() reads the environment each time. */
const PREFIX = join(tmpdir(), 'execplane-artifacts-');
const OWN_UID = process.getuid?.();

/** The variable that names the drop folder to a command. */
export const ARTIFACTS_VARIABLE = 'ARTIFACTS_DIR';

/** Makes an empty folder (0700) for the user. Undefined if the disk has no room; the command then runs without one. */
export function makeDropFolder(owner: { uid: number; gid: number }): string | undefined {
  try {
    const folder = mkdtempSync(PREFIX);
    if (owner.uid !== OWN_UID) chownSync(folder, owner.uid, owner.gid);
    return folder;
  } catch {
    return undefined;
  }
}

/** Removes the folder if it is empty. Returns false if it is not. */
export function removeEmptyDropFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errorCode(error) === 'ENOENT';
  }
}
