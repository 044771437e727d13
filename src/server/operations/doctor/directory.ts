import { accessSync, constants, lstatSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { errorReason } from '../../../node/error-code.ts';
import { statusOf } from '../../../node/files/configured-directory.ts';
import { type Finding, fail, judgeSpace, ok, warn } from '../../../node/finding.ts';
import { refuseOpenDirectory } from '../private-paths.ts';

/** Checks that the data directory exists, is closed to other users, has one owner, is writable, and that the disk has room. */
export function examineDirectory(dataDir: string): Finding[] {
  const stat = statusOf(dataDir);
  if (stat === undefined || !stat.isDirectory()) {
    const remedy = 'Name it with --data-dir or EXECPLANE_DATA_DIR, or start the server once: the server makes it.';
    return [fail('data directory', `${dataDir} is not a directory`, remedy)];
  }
  try {
    const names = readdirSync(dataDir);
    const { bavail, bsize } = statfsSync(dataDir);
    return [
      ok('data directory', dataDir),
      modes(dataDir),
      owners(dataDir, names, stat.uid),
      writable(dataDir),
      judgeSpace(
        bavail * bsize,
        'Free some space, or keep less data: EXECPLANE_MAX_DATABASE_BYTES, EXECPLANE_RETENTION_DAYS.',
      ),
    ];
  } catch (error) {
    const remedy = 'Run doctor as root or as the user of the server.';
    return [fail('data directory', `${dataDir} cannot be read: ${errorReason(error)}`, remedy)];
  }
}

function modes(dataDir: string): Finding {
  try {
    refuseOpenDirectory(dataDir);
    return ok('modes', 'nothing is open to other users');
  } catch (error) {
    const [problem = '', remedy = ''] = (error as Error).message.split(/: (?=close it)/);
    return fail(
      'modes',
      problem.replace(/^EXECPLANE_DATA_DIR: /, ''),
      `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}`,
    );
  }
}

/** Checks that all files have one owner: the server runs as one user and cannot open files of another. */
function owners(dataDir: string, names: readonly string[], uid: number): Finding {
  const others = names.filter((name) => lstatSync(join(dataDir, name), { throwIfNoEntry: false })?.uid !== uid);
  if (others.length === 0) return ok('owner', `everything belongs to uid ${uid}`);
  const remedy = `Make one user the owner of all files: chown -R --reference=${dataDir} ${dataDir}`;
  return warn('owner', `not of uid ${uid}, as the directory is: ${others.join(', ')}`, remedy);
}

function writable(dataDir: string): Finding {
  try {
    accessSync(dataDir, constants.W_OK);
    return ok('writable', 'yes');
  } catch (error) {
    const remedy =
      'Run doctor as root or as the user of the server. If you did, check whether the file system is mounted read-only.';
    return fail('writable', `${dataDir} cannot be written: ${errorReason(error)}`, remedy);
  }
}
