import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, fail, ok, warn } from '../../../node/finding.ts';
import { type Examination, examineDatabase } from '../../../store/sqlite/backup/examine.ts';

/** Time by which the newest entry may be ahead of the clock, ms. */
const AHEAD_MS = 60_000;

/** Checks that the database is intact, has a known schema, does not exceed its size, and is not newer than the clock. */
export function examineData(
  { dataDir, maxDatabaseBytes }: { dataDir: string; maxDatabaseBytes: number },
  now: number,
): Finding[] {
  const path = join(dataDir, 'execplane.db');
  if (!existsSync(path))
    return [warn('database', 'there is no database yet', 'Start the server once: it makes the database.')];
  let found: Examination;
  try {
    found = examineDatabase(path);
  } catch (error) {
    return [fail('integrity', (error as Error).message, 'Restore a backup: execplane restore --force FILE')];
  }
  return [integrity(found), schema(found), size(found, maxDatabaseBytes), clock(found, now)];
}

function integrity({ problems }: Examination): Finding {
  if (problems.length === 0) return ok('integrity', 'SQLite finds no error');
  return fail('integrity', problems.join('; '), 'Stop the server and restore a backup: execplane restore --force FILE');
}

function schema({ schema: found, knownSchema }: Examination): Finding {
  if (found === knownSchema) return ok('schema', `version ${found}`);
  const message = `version ${found}; this build knows ${knownSchema}`;
  return found > knownSchema
    ? fail('schema', message, 'Install the newer version that made it, or restore an older backup.')
    : warn('schema', message, 'Start the server: it brings the database up to date.');
}

function size({ bytes }: Examination, limit: number): Finding {
  const message = `${bytes} bytes${limit === 0 ? ', no limit' : ` of ${limit}`}`;
  if (limit === 0 || bytes <= limit * 1.1) return ok('database size', message);
  return warn(
    'database size',
    message,
    'The server deletes the oldest executions. If this warning stays, the rest alone is larger: raise the limit.',
  );
}

function clock({ lastActionAt = 0 }: Examination, now: number): Finding {
  const ahead = lastActionAt - now;
  if (ahead <= AHEAD_MS) return ok('clock', new Date(now).toISOString());
  const message = `${new Date(now).toISOString()} is ${Math.round(ahead / 1000)} s before the last entry of the audit trail`;
  return fail('clock', message, 'Set the clock, and synchronise it by NTP (timedatectl set-ntp true).');
}
