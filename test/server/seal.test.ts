import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resolveAdminKey } from '../../src/server/http/authentication/admin-key.ts';
import { loadServerKeys, serverKeysFrom } from '../../src/server/seal.ts';
import { atOnce } from '../../src/server/turns.ts';

const keys = serverKeysFrom(Buffer.alloc(32, 1));
const { sealer } = keys;

test('sealed bytes can be opened again, and are not readable while sealed', () => {
  const env = JSON.parse('{"TOKEN":"hunter2","__proto__":"x"}') as Record<string, string>;
  const stdin = Buffer.from([0, 1, 255, ...Buffer.from('hunter3')]);
  const sealed = sealer.seal('exec-1', { env, stdin });
  expect(sealed?.includes('hunter')).toBe(false);
  const opened = sealer.open('exec-1', sealed);
  expect(JSON.stringify(opened.env)).toBe(JSON.stringify(env));
  expect(opened.stdin.equals(stdin)).toBe(true);
});

test('empty inputs are not sealed', () => {
  expect(sealer.seal('exec-1', { env: {}, stdin: Buffer.alloc(0) })).toBeUndefined();
  expect(sealer.open('exec-1', undefined)).toStrictEqual({ env: {}, stdin: Buffer.alloc(0) });
});

test('bytes that were changed, moved to another execution or sealed under another key do not open', () => {
  const sealed = sealer.seal('exec-1', { env: { A: '1' }, stdin: Buffer.alloc(0) }) ?? Buffer.alloc(0);
  expect(() => sealer.open('exec-2', sealed)).toThrow();
  expect(() => serverKeysFrom(Buffer.alloc(32, 2)).sealer.open('exec-1', sealed)).toThrow();
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => sealer.open('exec-1', changed)).toThrow();
  }
  expect(() => sealer.open('exec-1', sealed.subarray(0, 20))).toThrow();
});

test('digests depend on the key, the parts and their borders', () => {
  const { cursorDigest } = keys;
  const requestDigest = (...parts: (string | Buffer | string[])[]) => atOnce(keys.requestDigest(...parts));
  const digests = [
    requestDigest('ab', 'c'),
    requestDigest('a', 'bc'),
    requestDigest('abc'),
    cursorDigest('ab', 'c'),
    atOnce(serverKeysFrom(Buffer.alloc(32, 2)).requestDigest('ab', 'c')),
  ].map((digest) => digest.toString('hex'));
  expect(new Set(digests).size).toBe(5);
  expect(requestDigest('ab', Buffer.from('c')).toString('hex')).toBe(digests[0]);
  expect(requestDigest(['a', '', 'b'], ['c']).toString('hex')).toBe(digests[0]);
  const long = 'é'.repeat(2_000_000);
  expect(requestDigest(Array.from(long))).toStrictEqual(requestDigest(Buffer.from(long)));
});

test('a large input is sealed in many turns, and opens as it was', async () => {
  const stdin = randomBytes(5_000_000);
  let turns = 0;
  const look = (): void => {
    turns += 1;
    immediate = setImmediate(look);
  };
  let immediate = setImmediate(look);
  const sealed = await sealer.sealInTurns('exec-1', { env: { A: '1' }, stdin });
  clearImmediate(immediate);
  expect(turns).toBeGreaterThanOrEqual(4);
  expect(sealer.open('exec-1', sealed)).toStrictEqual({ env: { A: '1' }, stdin });
});

test('the keys are made once, readable only by their owner; a damaged file stops the start', () => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-seal-'));
  try {
    const dataDir = join(dir, 'deep', 'data');
    const sealed = loadServerKeys(dataDir).sealer.seal('e', { env: { A: '1' }, stdin: Buffer.alloc(0) });
    expect(loadServerKeys(dataDir).sealer.open('e', sealed).env).toStrictEqual({ A: '1' });
    expect(statSync(join(dataDir, 'secret.key')).mode & 0o777).toBe(0o600);
    const made = resolveAdminKey({ configured: undefined, dataDir });
    expect(resolveAdminKey({ configured: undefined, dataDir })).toStrictEqual(made);
    expect(readFileSync(made.file ?? '', 'utf8').trim()).toBe(made.key);
    expect(statSync(made.file ?? '').mode & 0o777).toBe(0o600);
    writeFileSync(join(dataDir, 'secret.key'), 'short');
    expect(() => loadServerKeys(dataDir)).toThrow('secret.key');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a configured admin key is not written', () => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-seal-'));
  try {
    expect(resolveAdminKey({ configured: 'mine', dataDir: dir })).toStrictEqual({ key: 'mine' });
    expect(existsSync(join(dir, 'admin.key'))).toBe(false);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
