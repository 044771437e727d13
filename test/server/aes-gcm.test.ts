/** Sealed bytes can be opened unchanged with their key, and with no other key. */
import { expect, test } from 'vitest';
import { openBytes, sealBytes } from '../../src/server/aes-gcm.ts';

const KEY = Buffer.alloc(32, 1);
const PARTS = [Buffer.from('one '), Buffer.alloc(0), Buffer.from('and two')];

test('opening returns the parts as one piece, and two seals of the same bytes differ', () => {
  const [one, other] = [sealBytes(KEY, PARTS), sealBytes(KEY, PARTS)];
  expect([openBytes(KEY, one), openBytes(KEY, other)].map(String)).toEqual(['one and two', 'one and two']);
  expect(one.equals(other)).toBe(false);
  const prefixed = sealBytes(KEY, PARTS, Buffer.of(7));
  expect([prefixed[0], openBytes(KEY, prefixed.subarray(1)).toString()]).toEqual([7, 'one and two']);
});

test('sealed bytes that were changed, cut or sealed under another key do not open', () => {
  const sealed = sealBytes(KEY, PARTS);
  for (let at = 0; at < sealed.length; at += 1) {
    const altered = Buffer.from(sealed);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(() => openBytes(KEY, altered)).toThrow();
    expect(() => openBytes(KEY, sealed.subarray(0, at))).toThrow();
  }
  expect(() => openBytes(Buffer.alloc(32, 2), sealed)).toThrow();
});
