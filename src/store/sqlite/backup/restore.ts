/** Turns a backup into a database that a server may open. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { ConfigError } from '../../../node/config-error.ts';
import { errorCode, errorReason } from '../../../node/error-code.ts';
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

/** The first bytes of each database of SQLite, which a backup is. */
const MAGIC = Buffer.from('SQLite format 3\0');
const COPY_BYTES = 1024 * 1024;

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

/** An open backup. */
export interface BackupFile {
  /** Its path, for messages. */
  name: string;
  descriptor: number;
}

/** Opens a backup, which the caller closes. Throws ConfigError if it is not a file that can be read, BackupError if it is no database. */
export function openBackup(name: string): BackupFile {
  let descriptor: number;
  try {
    descriptor = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const reason = errorCode(cause) === 'ENOENT' ? 'does not exist' : `cannot be read: ${errorReason(cause)}`;
    throw new ConfigError(`${name} ${reason}`, { cause });
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw new ConfigError(`${name} is not a regular file`);
    const magic = Buffer.alloc(MAGIC.length);
    readSync(descriptor, magic, 0, MAGIC.length, 0);
    if (!magic.equals(MAGIC)) throw new BackupError(`${name} is not a backup made by "execplane backup"`);
    return { name, descriptor };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Creates the database `to` (0600) from a backup, and checks both. Executions that waited for their start end as agent_lost: they may have run
 * after the backup was made, and no execution runs twice. Throws BackupError, SchemaTooNewError.
 */
export function unpackBackup({ from, to, now }: { from: BackupFile; to: string; now: number }): Unpacked {
  copy(from.descriptor, to);
  const { madeAt, version, counts, digest } = readLabel(to, from.name);
  const found = takeDigest(to);
  if (found === 'wrong' || (found === 'absent' && digest !== undefined)) {
    const line = found === 'wrong' ? 'its SHA-256 is another one' : 'the line with its SHA-256 is damaged or missing';
    throw new BackupError(`${from.name} is damaged: its bytes have changed since the backup was made (${line})`);
  }
  verify(to, JSON_COLUMN.counts('counts', counts), from.name);
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

/** Copies an open file into the new file `to`. By descriptor: the user who opened it may be another one than the user who writes. */
function copy(from: number, to: string): void {
  const target = openSync(to, 'wx', 0o600);
  try {
    const buffer = Buffer.allocUnsafe(COPY_BYTES);
    for (let at = 0; ; ) {
      const bytes = readSync(from, buffer, 0, COPY_BYTES, at);
      if (bytes === 0) return;
      for (let written = 0; written < bytes; ) written += writeSync(target, buffer, written, bytes - written);
      at += bytes;
    }
  } finally {
    closeSync(target);
  }
}

function readLabel(path: string, name: string): Label {
  const db = openExisting(path, name);
  try {
    const label = db.prepare<[], Label>('SELECT *, made_at AS madeAt FROM backup').get();
    if (label === undefined) throw new Error('it has no label');
    return label;
  } catch (cause) {
    throw new BackupError(`${name} is not a backup made by "execplane backup"`, { cause });
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
