/** Backs up and restores a data directory: the database, and the keys without which it cannot be read. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { flush } from '../../node/atomic-file.ts';
import { ConfigError } from '../../node/config-error.ts';
import { errorReason } from '../../node/error-code.ts';
import { makeConfiguredDirectory } from '../../node/files/configured-directory.ts';
import { asOwnerOf } from '../../node/files/directory-owner.ts';
import { readRegularFile } from '../../node/private-file.ts';
import {
  BackupError,
  backUpDatabase,
  type CompanionFile,
  openExisting,
  type RowCounts,
} from '../../store/sqlite/backup/backup.ts';
import { DatabaseInUseError, takeOwnership } from '../../store/sqlite/file/owner.ts';
import { type BackupFile, openBackup, type Unpacked, unpackBackup } from '../../store/sqlite/backup/restore.ts';
import { packageVersion } from '../../node/version.ts';

const DATA_DIR = 'EXECPLANE_DATA_DIR';
const DATABASE = 'execplane.db';
const KEYS = ['secret.key', 'admin.key', 'webhook.secret'];
/** The files that a restore writes or replaces. */
const OURS = [DATABASE, `${DATABASE}-wal`, `${DATABASE}-shm`, ...KEYS];

export interface BackupReport {
  bytes: number;
  counts: RowCounts;
  /** Names of the key files in it. */
  keys: string[];
}

/**
 * Backs up `dataDir` into the new file `to`, while its server runs or not. If this process is root, it reads the data as the owner of the
 * directory, who may have put links there. Throws BackupError, ConfigError.
 */
export async function backUp(p: { dataDir: string; to: string; now: number }): Promise<BackupReport> {
  const { files, source } = asOwnerOf({ setting: DATA_DIR, dir: p.dataDir }, () => ({
    files: KEYS.flatMap((name) => readKey(p.dataDir, name)),
    source: openExisting(join(p.dataDir, DATABASE)),
  }));
  const counts = await backUpDatabase({ source, to: p.to, files, now: p.now, version: packageVersion() });
  return { bytes: statSync(p.to).size, counts, keys: files.map(({ name }) => name) };
}

/** Returns the key file, if there is one. */
function readKey(dataDir: string, name: string): CompanionFile[] {
  const path = join(dataDir, name);
  try {
    const content = readRegularFile(path)?.bytes;
    return content === undefined ? [] : [{ name, content }];
  } catch (cause) {
    throw new ConfigError(`${DATA_DIR}: ${path} cannot be read: ${errorReason(cause)}`, { cause });
  }
}

export interface RestoreReport extends Omit<Unpacked, 'files'> {
  /** The folder of the replaced data. */
  replaced?: string;
}

/**
 * Restores the backup `from` into `dataDir`. The whole backup is unpacked and verified elsewhere before anything is touched. Existing
 * data is kept in a folder beside it, and is replaced only with `force`. If this process is root, it writes as the owner of the directory,
 * who may have put links there. Throws BackupError, also if a server runs on the directory, and ConfigError.
 */
export function restore(p: { dataDir: string; from: string; force: boolean; now: number }): RestoreReport {
  // Opened before, because the owner of the directory may not read it.
  const from = openBackup(p.from);
  try {
    return asOwnerOf({ setting: DATA_DIR, dir: p.dataDir }, () => restoreOpened({ ...p, from }));
  } finally {
    closeSync(from.descriptor);
  }
}

function restoreOpened(p: { dataDir: string; from: BackupFile; force: boolean; now: number }): RestoreReport {
  const owner = own(p.dataDir);
  try {
    const present = OURS.filter((name) => existsSync(join(p.dataDir, name)));
    if (present.length > 0 && !p.force) {
      throw new BackupError(`${p.dataDir} contains data already (${present.join(', ')}): --force moves it aside`);
    }
    const aside = mkdtempSync(join(p.dataDir, 'restoring-'));
    try {
      const { files, ...report } = unpackBackup({ from: p.from, to: join(aside, DATABASE), now: p.now });
      refuseUnknown(p.from.name, files);
      for (const { name, content } of files) writeKey(join(aside, name), content);
      const replaced = putAside(p.dataDir, present, p.now);
      for (const name of readdirSync(aside)) renameSync(join(aside, name), join(p.dataDir, name));
      flush(p.dataDir);
      return { ...report, ...(replaced === undefined ? {} : { replaced }) };
    } finally {
      rmSync(aside, { recursive: true });
    }
  } finally {
    owner.close();
  }
}

/** Locks the database, so that no server starts meanwhile. */
function own(dataDir: string): { close(): void } {
  makeConfiguredDirectory(DATA_DIR, dataDir, 0o700);
  try {
    return takeOwnership(join(dataDir, DATABASE), 0);
  } catch (error) {
    if (error instanceof DatabaseInUseError) {
      throw new BackupError(`a server runs on ${dataDir}: stop it first`, { cause: error });
    }
    throw new BackupError(`${join(dataDir, DATABASE)} cannot be locked: ${errorReason(error)}`, { cause: error });
  }
}

/** Throws BackupError for unknown names of files. A name in a manipulated backup may be a path, which root would follow. */
function refuseUnknown(from: string, files: readonly CompanionFile[]): void {
  const unknown = files.find(({ name, content }) => !KEYS.includes(name) || !Buffer.isBuffer(content));
  if (unknown === undefined) return;
  throw new BackupError(
    `${from} contains ${JSON.stringify(unknown.name)}, which no backup contains: it is not restored`,
  );
}

function writeKey(path: string, content: Buffer): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  flush(path);
}

/** Moves existing data into a folder of its own. Returns that folder, if there was data. */
function putAside(dataDir: string, present: readonly string[], now: number): string | undefined {
  if (present.length === 0) return undefined;
  const folder = join(dataDir, `replaced-${new Date(now).toISOString().replaceAll(/[:.]/g, '-')}`);
  mkdirSync(folder, { mode: 0o700 });
  for (const name of present) renameSync(join(dataDir, name), join(folder, name));
  return folder;
}
