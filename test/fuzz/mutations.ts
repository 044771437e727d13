/** Small changes to valid bytes, like those of a defective or hostile client. */
import fc from 'fast-check';

interface Mutation {
  kind: 'flip' | 'insert' | 'remove' | 'repeat' | 'truncate';
  /** The position as a fraction of the length. */
  at: number;
  length: number;
  bytes: Uint8Array;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'insert', 'remove', 'repeat', 'truncate'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 24 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

/** `original` with a few mutations, one after the other. */
export function mutated(original: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
  return fc.tuple(original, mutations).map(([bytes, steps]) => steps.reduce(mutate, bytes));
}

function mutate(bytes: Buffer, { kind, at, length, bytes: fresh }: Mutation): Buffer {
  const from = Math.min(bytes.length, Math.floor(at * bytes.length));
  const to = Math.min(bytes.length, from + length);
  const [before, part, after] = [bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)];
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, part.map((byte, i) => byte ^ (fresh[i % fresh.length] ?? 1)), after]);
    case 'insert':
      return Buffer.concat([before, fresh, part, after]);
    case 'remove':
      return Buffer.concat([before, after]);
    case 'repeat':
      return Buffer.concat([before, part, part, after]);
    case 'truncate':
      return before;
  }
}
