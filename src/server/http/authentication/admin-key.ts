/** The admin key: configured by the operator, or generated at the first start and stored beside the database. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readOrCreateKeyFile } from '../../../node/key-file.ts';
import { readRegularFile } from '../../../node/private-file.ts';

export interface AdminKey {
  key: string;
  /** Path of its file. Absent if the key was configured. */
  file?: string;
}

/** Short keys can be guessed. A key that the server makes has 47 characters. */
const ADMIN_KEY_FORMAT = {
  make: newApiKey,
  pattern: /^[!-~]{16,}$/,
  expected: 'a key of at least 16 printable characters',
};

/** Returns the admin key. A configured key is the only valid one. */
export function resolveAdminKey(p: { configured: string | undefined; dataDir: string }): AdminKey {
  if (p.configured !== undefined) return { key: p.configured };
  const file = fileIn(p.dataDir);
  return { key: readOrCreateKeyFile(file, ADMIN_KEY_FORMAT), file };
}

/** Returns the existing admin key if it can be read. Does not generate one. */
export function presentAdminKey({ apiKey, dataDir }: { apiKey?: string; dataDir: string }): string | undefined {
  if (apiKey !== undefined) return apiKey;
  try {
    return readRegularFile(fileIn(dataDir))?.bytes.toString().trim();
  } catch {
    return undefined;
  }
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'admin.key');
}

/** Returns a new API key: 256 random bits. */
export function newApiKey(): string {
  return `xpk_${randomBytes(32).toString('base64url')}`;
}

/** Returns a new join token: 256 random bits. */
export function newJoinToken(secret: Buffer = randomBytes(32)): string {
  return `xpj_${secret.toString('base64url')}`;
}
