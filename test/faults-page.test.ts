/** docs/faults.md names existing tests for each fault. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, '../docs/faults.md'), 'utf8');
const lines = [...page.matchAll(/^\| (\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map(([, number, fault, , shown]) => ({
  number: Number(number),
  fault: fault ?? '',
  proofs: [...(shown ?? '').matchAll(/`([\w/-]+)` "([^"]+)"/g)].map(([, file, title]) => ({
    file,
    title: title ?? '',
  })),
}));

test('there is a line for each fault, in order', () => {
  const numbers = lines.map(({ number }) => number);
  expect(numbers.slice(0, 40)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
});

test.each(lines)('$number: $fault', ({ proofs }) => {
  expect(proofs.length).toBeGreaterThan(0);
  for (const { file, title } of proofs) {
    const path = join(import.meta.dirname, `${file}.test.ts`);
    expect(existsSync(path), `${file}.test.ts`).toBe(true);
    expect(titlesIn(path)).toContain(title);
  }
});

/** The file with plain quotes in its titles, so that a title is found in any quotation. */
function titlesIn(path: string): string {
  return readFileSync(path, 'utf8').replaceAll("\\'", "'");
}
