/** Key files: made once, and refused if they contain anything but a key. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resolveAdminKey } from '../../src/server/http/authentication/admin-key.ts';
import { loadServerKeys } from '../../src/server/seal.ts';
import { readWebhookSecret } from '../../src/server/operations/webhooks/webhooks.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-keys-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

const FILES = [
  ['admin.key', () => void resolveAdminKey({ configured: undefined, dataDir: dir })],
  ['secret.key', () => void loadServerKeys(dir)],
  ['webhook.secret', () => void readWebhookSecret(dir)],
] as const;

test.each(FILES)('%s is made with mode 0600, and read back unchanged', (name, read) => {
  read();
  const made = readFileSync(join(dir, name), 'utf8');
  expect(made.trim().length).toBeGreaterThan(40);
  expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  read();
  expect(readFileSync(join(dir, name), 'utf8')).toBe(made);
});

test.each(
  FILES.flatMap(([name, read]) => ['', '\n', 'x', 'whsec_', 'whsec_AAAA'].map((text) => [name, text, read] as const)),
)('%s with %j in it stops the start: exit code 2, and the file is named', (name, text, read) => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  expect(read).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringContaining(join(dir, name)) }));
  expect(readFileSync(join(dir, name), 'utf8')).toBe(text);
});
