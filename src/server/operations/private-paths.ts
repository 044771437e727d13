/** Secrets on disk are for the server's own user: what others may read is refused, not silently closed and trusted. */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../config.ts';

const OTHERS = 0o077;
/** Keys of certificates are often read through a group (`ssl-cert`), and never written to by it. */
const OTHERS_THAN_READING_GROUP = 0o037;
const FILES = [
  'admin.key',
  'secret.key',
  'webhook.secret',
  'execplane.db',
  'execplane.db-wal',
  'execplane.db-shm',
] as const;

/** Makes the data directory (0700) or checks it and what is in it. Throws ConfigError, with what to do. */
export function preparePrivateDirectory(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  refuseOpenDirectory(dataDir);
}

/** Throws ConfigError where others than the server's user may look into the data directory or what is in it. */
export function refuseOpenDirectory(dataDir: string): void {
  refuseOpen('EXECPLANE_DATA_DIR', dataDir, { forbidden: OTHERS, close: '0700' });
  for (const name of FILES) {
    refuseOpen('EXECPLANE_DATA_DIR', join(dataDir, name), { forbidden: OTHERS, close: '0600' });
  }
}

/** Throws ConfigError where others may read the private key of the certificate. */
export function refuseOpenKey(tlsKey: string): void {
  refuseOpen('EXECPLANE_TLS_KEY', tlsKey, { forbidden: OTHERS_THAN_READING_GROUP, close: '0600' });
}

function refuseOpen(setting: string, path: string, p: { forbidden: number; close: string }): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if (process.platform === 'win32' || (mode & p.forbidden) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new ConfigError(
    `${setting}: ${path} is open to other users (mode ${shown}): close it with "chmod ${p.close} ${path}"`,
  );
}
