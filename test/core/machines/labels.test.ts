import { expect, test } from 'vitest';
import { matchesSelectors, parseLabels, parseSelector } from '../../../src/core/machines/labels.ts';

test('labels are pairs separated by commas', () => {
  expect(parseLabels('role=web, site=berlin,empty=,eq=a=b')).toEqual({
    role: 'web',
    site: 'berlin',
    empty: '',
    eq: 'a=b',
  });
  expect(parseLabels('')).toEqual({});
});

test.each(['role', 'Role=web', '-a=b', 'a-=b', `${'k'.repeat(64)}=v`, `k=${'v'.repeat(256)}`, '=v'])(
  '"%s" is no label',
  (text) => {
    expect(parseLabels(text)).toBeUndefined();
  },
);

test('a selector is a key, or a key and a value', () => {
  expect(parseSelector('app.example/role')).toEqual({ key: 'app.example/role' });
  expect(parseSelector('role=')).toEqual({ key: 'role', value: '' });
  expect(parseSelector('r ole')).toBeUndefined();
});

test('all selectors must match', () => {
  const labels = { role: 'web', site: 'berlin' };
  expect(matchesSelectors(labels, [])).toBe(true);
  expect(matchesSelectors(labels, [{ key: 'role', value: 'web' }, { key: 'site' }])).toBe(true);
  expect(matchesSelectors(labels, [{ key: 'role', value: 'db' }])).toBe(false);
  expect(matchesSelectors(labels, [{ key: 'toString' }])).toBe(false);
});
