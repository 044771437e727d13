/** Which values match a shape, and the message for those that do not. */
import { expect, test } from 'vitest';
import { mismatch } from '../../../src/client/http/shape.ts';

const SHAPE = {
  name: 'string',
  'size?': 'number',
  'labels?': { '*': 'string' },
  'parts?': [{ open: 'boolean' }],
  'sent?': 'any',
} as const;

test.each([
  { name: 'a' },
  { name: '', size: 0, labels: {}, parts: [], sent: null },
  { name: 'a', labels: { role: 'web' }, parts: [{ open: false }], sent: [1], more: 1 },
])('%j matches the shape', (value) => {
  expect(mismatch(value, SHAPE)).toBeUndefined();
});

test.each([
  [undefined, 'the answer is missing'],
  [null, 'the answer is not an object'],
  [[], 'the answer is not an object'],
  ['text', 'the answer is not an object'],
  [{}, '`name` is missing'],
  [{ name: null }, '`name` is not a string'],
  [{ name: 'a', size: '1' }, '`size` is not a number'],
  [{ name: 'a', size: null }, '`size` is not a number'],
  [{ name: 'a', labels: ['role'] }, '`labels` is not an object'],
  [{ name: 'a', labels: { role: 1 } }, '`labels.role` is not a string'],
  [{ name: 'a', parts: {} }, '`parts` is not an array'],
  [{ name: 'a', parts: [{ open: true }, { open: 1 }] }, '`parts[1].open` is not a boolean'],
])('%j does not match: %s', (value, found) => {
  expect(mismatch(value, SHAPE)).toBe(found);
});
