import { accessSync, constants, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, fail, judgeSpace, ok, warn } from '../../../node/finding.ts';
import { refuseOpenDirectory } from '../private-paths.ts';

/** The data directory itself: there, closed to others, of one owner, writable, with room. */
export function examineDirectory(dataDir: string): Finding[] {
  const stat = statSync(dataDir, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory()) {
    const remedy =
      'Say where it is (--data-dir, EXECPLANE_DATA_DIR), or start the server once: it makes the directory.';
    return [fail('data directory', `${dataDir} is no directory`, remedy)];
  }
  try {
    const names = readdirSync(dataDir);
    const { bavail, bsize } = statfsSync(dataDir);
    return [
      ok('data directory', dataDir),
      modes(dataDir),
      owners(dataDir, names, stat.uid),
      writable(dataDir),
      judgeSpace(bavail * bsize, 'Make room, or keep less: EXECPLANE_MAX_DATABASE_BYTES, EXECPLANE_RETENTION_DAYS.'),
    ];
  } catch (error) {
    const remedy = 'Run doctor as root, or as the user of the server.';
    return [fail('data directory', (error as Error).message, remedy)];
  }
}

function modes(dataDir: string): Finding {
  try {
    refuseOpenDirectory(dataDir);
    return ok('modes', 'nothing is open to other users');
  } catch (error) {
    const [what = '', remedy = ''] = (error as Error).message.split(/: (?=close it)/);
    return fail(
      'modes',
      what.replace(/^EXECPLANE_DATA_DIR: /, ''),
      `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}`,
    );
  }
}

/** The server runs as one user: what belongs to another it can't open. */
function owners(dataDir: string, names: readonly string[], uid: number): Finding {
  const others = names.filter((name) => statSync(join(dataDir, name), { throwIfNoEntry: false })?.uid !== uid);
  if (others.length === 0) return ok('owner', `everything belongs to uid ${uid}`);
  const remedy = `Give all of it to one user: chown -R --reference=${dataDir} ${dataDir}`;
  return warn('owner', `not of uid ${uid}, as the directory is: ${others.join(', ')}`, remedy);
}

function writable(dataDir: string): Finding {
  try {
    accessSync(dataDir, constants.W_OK);
    return ok('writable', 'yes');
  } catch (error) {
    const remedy = 'Run doctor as the user of the server, or root. If you did: is the file system mounted read-only?';
    return fail('writable', (error as Error).message, remedy);
  }
}
