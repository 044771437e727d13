import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutAt, unfinishedBytes } from '../../../../src/agent/runner/executions/chunks.ts';
import { OutputStream } from '../../../../src/agent/runner/executions/output-stream.ts';

test.each<[number[], number]>([
  [[], 0],
  [[0x61], 0],
  [[0xc3], 1],
  [[0xc3, 0xa9], 0],
  [[0xe2, 0x82], 2],
  [[0xf0, 0x9f, 0x98], 3],
  [[0xf0, 0x9f, 0x98, 0x80], 0],
  [[0x80, 0x80, 0x80, 0x80], 0],
  [[0xff], 0],
  [[0xc0], 0],
])('%j ends with %i bytes of an incomplete character', (bytes, unfinished) => {
  expect(unfinishedBytes(Buffer.from(bytes))).toBe(unfinished);
});

test('a cut does not split a character, and uses every byte if there is none', () => {
  expect(cutAt(Buffer.from('a€b'), 3)).toEqual(Buffer.from('a'));
  expect(cutAt(Buffer.from([0x61, 0xe2, 0x62, 0x62]), 2)).toEqual(Buffer.from([0x61, 0xe2]));
});

test('bytes are the same for any split into pieces, up to the cap, in chunks of at most 64 KiB; the last bytes above it are the tail', () => {
  const character = fc.constantFrom('a', 'é', '€', '😀').map((text) => Buffer.from(text));
  const piece = fc.oneof(fc.uint8Array({ maxLength: 10 }), character);
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, fc.boolean())), fc.nat(200), (pieces, cap) => {
      const all = Buffer.concat(pieces.map(([bytes]) => bytes));
      const chunks: Buffer[] = [];
      const stream = new OutputStream({ capBytes: cap, tailBytes: 40 }, (chunk) => chunks.push(Buffer.from(chunk)));
      for (const [bytes, flush] of pieces) {
        stream.push(Buffer.from(bytes));
        if (flush) stream.flush();
      }
      stream.finish();
      const out = Buffer.concat(chunks);
      expect(all.subarray(0, out.length).equals(out)).toBe(true);
      expect(out.length).toBe(stream.kept);
      expect(out.length).toBeLessThanOrEqual(cap);
      expect(out.length).toBeGreaterThan(Math.min(all.length, cap) - 4);
      if (all.length <= cap) expect(out.equals(all)).toBe(true);
      const past = all.subarray(out.length);
      expect(stream.tail.take().equals(past.subarray(-40))).toBe(true);
    }),
  );
});

test('text is emitted in chunks that are valid text', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'é', '€', '😀'), { maxLength: 200 }),
      fc.integer({ min: 1, max: 9 }),
      (characters, step) => {
        const bytes = Buffer.from(characters.join(''));
        const chunks: string[] = [];
        const stream = new OutputStream({ capBytes: 1 << 20, tailBytes: 0 }, (chunk) =>
          chunks.push(chunk.toString('utf8')),
        );
        for (let at = 0; at < bytes.length; at += step) {
          stream.push(bytes.subarray(at, at + step));
          stream.flush();
        }
        stream.finish();
        expect(chunks.join('')).toBe(characters.join(''));
      },
    ),
  );
});

test('large writes are emitted in whole chunks without waiting', () => {
  const sizes: number[] = [];
  const stream = new OutputStream({ capBytes: 1 << 20, tailBytes: 0 }, (chunk) => sizes.push(chunk.length));
  stream.push(Buffer.alloc(200_000));
  expect(sizes).toEqual([65_536, 65_536, 65_536]);
  expect(stream.held).toBe(200_000 - 3 * 65_536);
  stream.push(Buffer.alloc(50_000));
  stream.push(Buffer.alloc(50_000)); // a write of this size is not joined with others
  expect(sizes.slice(3)).toEqual([200_000 - 3 * 65_536 + 50_000]);
});
