import { expect, test } from 'vitest';
import { readAhead } from '../../src/client/read-ahead.ts';

const piece = (value: number, length = 10): Uint8Array => new Uint8Array(length).fill(value);

/** Yields pieces as fast as the consumer reads, and counts them. */
async function* counted(taken: { count: number }, total: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < total; index += 1) {
    taken.count += 1;
    yield piece(index);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('pieces that arrive while the consumer is busy are joined, in order and complete', async () => {
  const taken = { count: 0 };
  const sizes: number[] = [];
  const all: number[] = [];
  for await (const bytes of readAhead(counted(taken, 100), 100)) {
    sizes.push(bytes.length);
    all.push(...bytes);
    await turn();
  }
  expect(sizes.length).toBeLessThan(30);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(110);
  expect(all).toEqual(Array.from({ length: 100 }, (_, index) => [...piece(index)]).flat());
});

test('the reader stops at its limit', async () => {
  const taken = { count: 0 };
  const reader = readAhead(counted(taken, 100), 50);
  await reader.next();
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(taken.count).toBeLessThanOrEqual(7);
  await reader.return(undefined);
});

test('a piece is passed on at once if nothing more is available', async () => {
  const { promise: never } = Promise.withResolvers<void>();
  const source = (async function* () {
    yield piece(1);
    await never;
  })();
  expect((await readAhead(source, 1000).next()).value).toEqual(piece(1));
});

test('an error of the source comes after the bytes before it', async () => {
  const source = (async function* () {
    yield piece(1);
    throw new Error('torn');
  })();
  const reader = readAhead(source, 1000);
  expect((await reader.next()).value).toEqual(piece(1));
  await expect(reader.next()).rejects.toThrow('torn');
});
