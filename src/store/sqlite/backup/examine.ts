/** Examines a database from outside, whether a server has it open or not. */
import { openExisting } from './backup.ts';
import { latestSchema, schemaVersion } from '../file/migrations.ts';

export interface Examination {
  /** Findings of SQLite's quick_check. Empty if the database is intact. */
  problems: string[];
  schema: number;
  /** The schema version of this build. */
  knownSchema: number;
  bytes: number;
  /** Time of the last audit entry, ms since the epoch. Undefined if there is none. */
  lastActionAt?: number;
}

/** Reads the whole database at `path`. Throws BackupError if it cannot be read at all. */
export function examineDatabase(path: string): Examination {
  const db = openExisting(path);
  try {
    const problems = db.prepare<[], string>('PRAGMA quick_check(3)').pluck().all();
    const last = db.prepare<[], number>('SELECT at FROM audit ORDER BY id DESC LIMIT 1').pluck().get();
    const pages = db.pragma('page_count', { simple: true }) as number;
    return {
      problems: problems.filter((problem) => problem !== 'ok'),
      schema: schemaVersion(db),
      knownSchema: latestSchema(),
      bytes: pages * (db.pragma('page_size', { simple: true }) as number),
      ...(last === undefined ? {} : { lastActionAt: last }),
    };
  } finally {
    db.close();
  }
}
