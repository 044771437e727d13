import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundSteps, exceededBound, nestsDeeperThan } from '../../src/core/json.ts';

interface Size {
  depth: number;
  members: number;
  values: number;
}

/** Depth, members, and members and elements of a value, counted in the parsed value. */
function sizeOf(value: unknown): Size {
  if (typeof value !== 'object' || value === null) return { depth: 0, members: 0, values: 0 };
  const children = Object.values(value);
  const inner = children.map(sizeOf);
  const sum = (of: 'members' | 'values') => inner.reduce((total, size) => total + size[of], 0);
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    members: sum('members') + (Array.isArray(value) ? 0 : children.length),
    values: sum('values') + children.length,
  };
}

const tricky = fc.string({ unit: fc.constantFrom('"', '\\', '[', '{', ',', ':', 'a', 'é'), maxLength: 200 });

test('the bounds of a JSON text are those of its value, whatever its strings contain', () => {
  const unlimited = { depth: 1000, members: 1000, values: 1_000_000, digits: 25 };
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.jsonValue(), fc.dictionary(tricky, tricky), tricky)), (value) => {
      const json = Buffer.from(JSON.stringify(value));
      const { depth, members } = sizeOf(value);
      expect(exceededBound({ ...unlimited, depth, members }, json)).toBe(undefined);
      expect(nestsDeeperThan(depth - 1, json)).toBe(true);
      if (members > 0) expect(exceededBound({ ...unlimited, members: members - 1 }, json)).toBe('members');
    }),
  );
});

test('elements are counted with the members, exactly for a single array', () => {
  const bounds = { depth: 2, members: 2, values: 5, digits: 25 };
  expect(exceededBound(bounds, Buffer.from('[1,[2,3],4]'))).toBe(undefined);
  expect(exceededBound(bounds, Buffer.from('[1,2,3,4,5]'))).toBe(undefined);
  expect(exceededBound(bounds, Buffer.from('[1,2,3,4,5,6]'))).toBe('values');
});

test.each(['12345', '-1234', '0.123', '12e-3', '1.5E4'])('%s is a number of five digits', (number) => {
  const bounds = { depth: 2, members: 2, values: 5, digits: 5 };
  for (const json of [number, ` ${number} `, `[${number},${number}]`, `{"a":${number}}`]) {
    expect(exceededBound(bounds, Buffer.from(json))).toBe(undefined);
    expect(exceededBound({ ...bounds, digits: 4 }, Buffer.from(json))).toBe('digits');
  }
  expect(exceededBound({ ...bounds, digits: 1 }, Buffer.from(`["${number}"]`))).toBe(undefined);
});

test('thousands of escaped quotes hide no bracket after them', () => {
  const text = '\\"'.repeat(5000);
  expect(nestsDeeperThan(1, Buffer.from(`["${text}[[["]`))).toBe(false);
  expect(nestsDeeperThan(1, Buffer.from(`["${text}",[]]`))).toBe(true);
});

test('a large text is checked in steps of 1 MiB, and the bounds are the same', () => {
  const bounds = { depth: 2, members: 2, values: 5, digits: 5 };
  for (const part of [' ', '\\"']) {
    const long = part.repeat(3_000_000);
    const text = part === '\\"' ? `["${long}",1]` : `[${long}1,2]`;
    const steps = boundSteps(bounds, Buffer.from(text));
    let count = 0;
    while (steps.next().done !== true) count += 1;
    expect(count).toBeGreaterThanOrEqual(2);
    expect(exceededBound(bounds, Buffer.from(`${text.slice(0, -1)},[[]]]`))).toBe('depth');
  }
});
