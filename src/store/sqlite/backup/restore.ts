/** Turns a backup into a database that a server may open. */
import { chmodSync, copyFileSync } from 'node:fs';
import { BackupError, type CompanionFile, countRows, openExisting, type RowCounts, verify } from './backup.ts';
import { takeDigest } from './digest.ts';
import { type Database, openDatabase } from '../file/database.ts';
import { abandonWaiting } from '../../../core/decisions/restore.ts';
import { createEventLog } from '../tables/event-log.ts';
import { createOutputTails } from '../tables/output-tails.ts';
import { createStreamChunks } from '../tables/stream-chunks.ts';
import { SqliteTransaction } from '../tables/transaction.ts';
import { MachineTable } from '../tables/machine-table.ts';
import { migrate } from '../file/migrations.ts';
import { JSON_COLUMN } from '../../rows/json-columns.ts';

export interface Unpacked {
  /** ms since the epoch. */
  madeAt: number;
  /** The version of the program that made the backup. */
  version: string;
  files: CompanionFile[];
  counts: RowCounts;
  /** Whether the backup has a digest, which is then right. Older backups have none. */
  digestChecked: boolean;
  /** Executions that waited when the backup was made, and have now ended. */
  abandoned: number;
}

/**
 * Creates the database `to` (0600) from the backup `from`, and checks both. Executions that waited for their start end as agent_lost: they
 * may have run after the backup was made, and no execution runs twice. Throws BackupError, SchemaTooNewError.
 */
export function unpackBackup({ from, to, now }: { from: string; to: string; now: number }): Unpacked {
  const { madeAt, version, counts, digest } = readLabel(from);
  copyFileSync(from, to);
  chmodSync(to, 0o600);
  const found = takeDigest(to);
  if (found === 'wrong' || (found === 'absent' && digest !== undefined)) {
    throw new BackupError(
      `${from} is damaged: its bytes have changed since the backup was made (the SHA-256 at its end is ${found})`,
    );
  }
  verify(to, JSON_COLUMN.counts('counts', counts), from);
  const db = openDatabase(to);
  let unpacked: Unpacked;
  try {
    const files = db.prepare<[], CompanionFile>('SELECT name, content FROM backup_files').all();
    db.exec('DROP TABLE backup_files; DROP TABLE backup');
    migrate(db, now);
    const abandoned = abandonAll(db, now);
    unpacked = { madeAt, version, files, digestChecked: found === 'right', abandoned, counts: countRows(db) };
  } finally {
    db.close();
  }
  verify(to, unpacked.counts);
  return unpacked;
}

interface Label {
  madeAt: number;
  version: string;
  /** JSON. */
  counts: string;
  /** Names the kind of digest at the end of the file. Undefined in a backup that was made without one. */
  digest?: string;
}

function readLabel(from: string): Label {
  const db = openExisting(from);
  try {
    const label = db.prepare<[], Label>('SELECT *, made_at AS madeAt FROM backup').get();
    if (label === undefined) throw new Error('it has no label');
    return label;
  } catch (cause) {
    throw new BackupError(`${from} is not a backup made by "execplane backup"`, { cause });
  } finally {
    db.close();
  }
}

/** Ends all waiting executions. Returns how many. */
function abandonAll(db: Database, now: number): number {
  const chunks = createStreamChunks(db);
  const machines = new MachineTable(db);
  const log = createEventLog(db, chunks);
  const tx = new SqliteTransaction(db, { log, chunks, tails: createOutputTails(db), machines }, () => {});
  const waiting = db
    .prepare<[], string>(
      `SELECT public_id FROM executions INDEXED BY executions_alive
       WHERE dispatch_number IS NULL AND completed_at IS NULL`,
    )
    .pluck();
  return db
    .transaction(() => {
      const records = waiting.all().flatMap((executionId) => tx.execution(executionId) ?? []);
      for (const record of records) tx.save(abandonWaiting(record, { cause: 'restored', now }));
      return records.length;
    })
    .immediate();
}
