/** The admin key: the operator's own, or one made at the first start and kept beside the database. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOrCreateKeyFile } from '../../../node/key-file.ts';

export interface AdminKey {
  key: string;
  /** Where it is kept; absent when it was configured, for then nothing is written. */
  file?: string;
}

/** Short keys can be guessed. A key that the server makes has 47 characters. */
const ADMIN_KEY_FORMAT = {
  make: newApiKey,
  pattern: /^[!-~]{16,}$/,
  expected: 'a key of at least 16 printable characters',
};

/** Resolves the admin key; a configured one alone is valid. */
export function resolveAdminKey(p: { configured: string | undefined; dataDir: string }): AdminKey {
  if (p.configured !== undefined) return { key: p.configured };
  const file = fileIn(p.dataDir);
  return { key: readOrCreateKeyFile(file, ADMIN_KEY_FORMAT), file };
}

/** The admin key as it is, where it can be had; makes none. */
export function presentAdminKey({ apiKey, dataDir }: { apiKey?: string; dataDir: string }): string | undefined {
  if (apiKey !== undefined) return apiKey;
  try {
    return readFileSync(fileIn(dataDir), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'admin.key');
}

/** A fresh API key: 256 random bits. */
export function newApiKey(): string {
  return `xpk_${randomBytes(32).toString('base64url')}`;
}

/** A fresh join token: 256 random bits. */
export function newJoinToken(secret: Buffer = randomBytes(32)): string {
  return `xpj_${secret.toString('base64url')}`;
}
