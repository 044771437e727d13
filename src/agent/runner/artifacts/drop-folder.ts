/** The drop folder: what a command puts there is an artifact. It is outside of the agent's own directory, which is closed to other users. */
import { chownSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorCode } from '../../../node/error-code.ts';

/** The variable that tells a command its drop folder. */
export const ARTIFACTS_VARIABLE = 'ARTIFACTS_DIR';

/** Makes an empty folder (0700) for the user; undefined if the disk does not take it, and the command then runs without. */
export function makeDropFolder(owner: { uid: number; gid: number }): string | undefined {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'execplane-artifacts-'));
    if (owner.uid !== process.getuid?.()) chownSync(folder, owner.uid, owner.gid);
    return folder;
  } catch {
    return undefined;
  }
}

/** Removes the folder if nothing is in it; false if there is something. */
export function removeEmptyDropFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errorCode(error) === 'ENOENT';
  }
}
