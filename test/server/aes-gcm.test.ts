/** Sealed bytes: opened by their key as they were, and by nothing else. */
import { expect, test } from 'vitest';
import { openBytes, sealBytes } from '../../src/server/aes-gcm.ts';

const KEY = Buffer.alloc(32, 1);
const PARTS = [Buffer.from('one '), Buffer.alloc(0), Buffer.from('and two')];

test('the parts come back in one piece, and no two seals are alike', () => {
  const [one, other] = [sealBytes(KEY, PARTS), sealBytes(KEY, PARTS)];
  expect([openBytes(KEY, one), openBytes(KEY, other)].map(String)).toEqual(['one and two', 'one and two']);
  expect(one.equals(other)).toBe(false);
  const prefixed = sealBytes(KEY, PARTS, Buffer.of(7));
  expect([prefixed[0], openBytes(KEY, prefixed.subarray(1)).toString()]).toEqual([7, 'one and two']);
});

test('text that was altered, cut or sealed under another key does not open', () => {
  const sealed = sealBytes(KEY, PARTS);
  for (let at = 0; at < sealed.length; at += 1) {
    const altered = Buffer.from(sealed);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(() => openBytes(KEY, altered)).toThrow();
    expect(() => openBytes(KEY, sealed.subarray(0, at))).toThrow();
  }
  expect(() => openBytes(Buffer.alloc(32, 2), sealed)).toThrow();
});
