/** A look at a database from outside, whether a server has it open or not. */
import { openExisting } from './backup.ts';
import { latestSchema, schemaVersion } from '../file/migrations.ts';

export interface Examination {
  /** What SQLite's quick_check finds; empty where all is well. */
  problems: string[];
  schema: number;
  /** Of this build. */
  knownSchema: number;
  bytes: number;
  /** When somebody last did something, ms since the epoch; undefined where nobody has. */
  lastActionAt?: number;
}

/** Reads all of the database at `path`. Throws BackupError where it cannot be read at all. */
export function examineDatabase(path: string): Examination {
  const db = openExisting(path);
  try {
    const problems = db.prepare<[], string>('PRAGMA quick_check(3)').pluck().all();
    const last = db.prepare<[], number>('SELECT at FROM audit ORDER BY audit DESC LIMIT 1').pluck().get();
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
