/** Idempotency keys of the command line. */
import type * as files from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { kernelKey } from '../../src/cli/kernel-key.ts';

const system = vi.hoisted(() => ({ hasRandom: true, readBytes: Infinity }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof files>();
  return {
    ...real,
    openSync: (path: string, flags: string) => real.openSync(system.hasRandom ? path : `${path}-missing`, flags),
    readSync: (descriptor: number, bytes: Buffer) => Math.min(real.readSync(descriptor, bytes), system.readBytes),
  };
});

afterEach(() => Object.assign(system, { hasRandom: true, readBytes: Infinity }));

test.each([
  ['the kernel', {}],
  ['the platform, where the kernel has no file for them', { hasRandom: false }],
  ['the platform, where the file is too short', { readBytes: 3 }],
])('are 128 random bits of %s', (_name, changes) => {
  Object.assign(system, changes);
  const keys = Array.from({ length: 200 }, kernelKey);
  expect(keys.filter((key) => !/^[0-9a-f]{32}$/.test(key))).toEqual([]);
  expect(new Set(keys).size).toBe(keys.length);
});
