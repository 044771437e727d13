/** Moves the SQLite data of one server to PostgreSQL: the rows, and the keys that belong to them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFile } from '../../node/atomic-file.ts';
import { ConfigError } from '../../node/config-error.ts';
import type { CopiedTable, Move } from '../../store/move/move.ts';
import { DatabaseUrlError } from '../../store/postgres/connections/url.ts';
import { type Database, openDatabase } from '../../store/sqlite/file/database.ts';
import { migrate } from '../../store/sqlite/file/migrations.ts';
import { DatabaseInUseError, takeOwnership } from '../../store/sqlite/file/owner.ts';
import { forgetConnections } from '../../store/sqlite/machines.ts';
import { loadServerKeys, type ServerKeys } from '../seal.ts';
import { sealWebhookSecret } from './webhooks/shared-secret.ts';
import { readWebhookSecret } from './webhooks/webhooks.ts';

/** The data cannot be moved. The message contains the reason and the remedy. */
class MigrationRefusedError extends Error {
  override readonly name = 'MigrationRefusedError';
}

export interface MigrationOptions extends Pick<Move, 'progress' | 'now'> {
  dataDir: string;
  databaseUrl: string;
  /** Key file of the servers on PostgreSQL. If it is missing, the key of the data directory is copied to it. */
  secretKeyFile: string;
}

export interface MigrationReport {
  tables: readonly CopiedTable[];
  /** The file with the admin key. Absent if the key was configured. */
  adminKeyFile?: string;
}

/**
 * Moves the data of `dataDir`. Its server must be stopped. The SQLite file is only read, except that its machines are marked as offline, as
 * at the start of a server. Rejects if the target is in use or not empty; then nothing was moved.
 */
export async function migrateToPostgres(options: MigrationOptions): Promise<MigrationReport> {
  const { dataDir, databaseUrl: url, secretKeyFile, now, progress } = options;
  const path = join(dataDir, 'execplane.db');
  if (!existsSync(path)) throw new ConfigError(`EXECPLANE_DATA_DIR: ${path} does not exist`);
  const owner = own(dataDir, path);
  try {
    const db = openDatabase(path);
    try {
      migrate(db, now);
      forgetConnections(db, now);
      const keys = sharedKeys(dataDir, secretKeyFile);
      verifyKey(db, keys, secretKeyFile);
      const sealedSecrets = sealedSecretsOf(dataDir, keys);
      // Loaded only for this command.
      const { moveToPostgres } = await import('../../store/move/move.ts');
      const { fingerprint } = keys;
      const tables = await moveToPostgres(db, { url, fingerprint, sealedSecrets, now, progress }).catch(
        (cause: unknown) => {
          if (!(cause instanceof DatabaseUrlError)) throw cause;
          throw new ConfigError(`EXECPLANE_DATABASE_URL: ${cause.message}`, { cause });
        },
      );
      const adminKeyFile = join(dataDir, 'admin.key');
      return { tables, ...(existsSync(adminKeyFile) && { adminKeyFile }) };
    } finally {
      db.close();
    }
  } finally {
    owner.close();
  }
}

function own(dataDir: string, path: string): { close(): void } {
  try {
    return takeOwnership(path, 0);
  } catch (cause) {
    if (!(cause instanceof DatabaseInUseError)) throw cause;
    throw new MigrationRefusedError(`a server runs on ${dataDir}: stop it first`, { cause });
  }
}

/**
 * Returns the keys that the moved data was sealed and signed with. With other keys Idempotency-Keys, cursors and links would not be
 * recognised, and a retry would run a command a second time.
 */
function sharedKeys(dataDir: string, keyFile: string): ServerKeys {
  const present = join(dataDir, 'secret.key');
  if (!existsSync(present)) return loadServerKeys(dataDir, keyFile);
  const ofServer = loadServerKeys(dataDir);
  if (!existsSync(keyFile)) createFile(keyFile, readFileSync(present, 'utf8'));
  const shared = loadServerKeys(dataDir, keyFile);
  if (shared.fingerprint.equals(ofServer.fingerprint)) return shared;
  throw new ConfigError(
    `EXECPLANE_SECRET_KEY_FILE: ${keyFile} contains another key than ${present}: name a copy of ${present}, or a file that does not exist`,
  );
}

/** Throws ConfigError if a waiting input or the command of a batch cannot be read with the key. */
function verifyKey(db: Database, { sealer }: ServerKeys, keyFile: string): void {
  const inputs = db.prepare<[], { id: string; sealed: Buffer }>(
    `SELECT e.public_id AS id, s.sealed FROM sealed_inputs s JOIN executions e ON e.id = s.execution_id
     UNION ALL SELECT public_id, sealed_request FROM batches WHERE sealed_request IS NOT NULL`,
  );
  for (const { id, sealed } of inputs.iterate()) {
    try {
      sealer.open(id, sealed);
    } catch (cause) {
      throw new ConfigError(`EXECPLANE_SECRET_KEY_FILE: the input of ${id} was not sealed with ${keyFile}`, { cause });
    }
  }
}

function sealedSecretsOf(dataDir: string, { sealer }: ServerKeys): Buffer | undefined {
  if (!existsSync(join(dataDir, 'webhook.secret'))) return undefined;
  return sealWebhookSecret(sealer, readWebhookSecret(dataDir));
}
