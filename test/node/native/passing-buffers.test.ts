import { expect, test } from 'vitest';
import { PassingBuffers } from '../../../src/node/native/passing-buffers.ts';

const MB = 1024 * 1024;

test('the young generation is collected after each 12 MiB, however they are cut', () => {
  const collections: unknown[] = [];
  const buffers = new PassingBuffers(() => (options) => collections.push(options));
  for (let count = 0; count < 11; count += 1) buffers.add(MB);
  expect(collections).toEqual([]);
  buffers.add(MB);
  expect(collections).toEqual([{ type: 'minor' }]);
  for (let count = 0; count < 24; count += 1) buffers.add(MB);
  expect(collections).toHaveLength(3);
});
