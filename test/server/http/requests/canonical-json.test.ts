import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, canonicalPieces } from '../../../../src/server/http/requests/canonical-json.ts';

test('the text of a value is JSON of the same value, with sorted keys and no spaces', () => {
  expect(canonicalJson({ b: [1, 'x', { d: null, c: [] }], a: {}, B: ['x', 'y'] })).toBe(
    '{"B":["x","y"],"a":{},"b":[1,"x",{"c":[],"d":null}]}',
  );
  expect(canonicalJson(undefined)).toBe('');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test.each(['x', '😀', '"é', '\n😀', '\\'])(
  'a long text of %j is written in pieces, none of which cuts a character',
  (part) => {
    for (const shift of ['', '-', '--']) {
      const text = shift + part.repeat(400_000);
      const pieces = [...canonicalPieces({ stdin: text, command: [text] })];
      expect(pieces.join('')).toBe(JSON.stringify({ command: [text], stdin: text }));
      expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(600_000);
    }
  },
);
