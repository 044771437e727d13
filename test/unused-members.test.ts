/**
 * Finds class members that no code in src uses. knip finds unused exports, but since version 6 no unused class members. The test
 * compares names, not symbols: a name that is used for a member of another class counts as used.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '../src');
const CLASS = /^(?:export )?(?:abstract )?class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm;
/** A member in a class body, with the indentation of the formatter: its modifiers and its name. The compiler checks private names (`#`). */
const MEMBER =
  /^ {2}(?!override\b|constructor\b)(?:(?:static|readonly|async|get|set|\*)\s+)*([a-zA-Z]\w*)\??\s*(?:[(<:=;]|$)/gm;

const sources = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map((entry) => withoutComments(readFileSync(join(entry.parentPath, entry.name), 'utf8')));
/** All names that code reads: after a dot, in a destructuring pattern, or as an index. */
const used = new Set(
  sources.flatMap((text) =>
    [...text.matchAll(/\.\s*([a-zA-Z]\w*)|[{,]\s*([a-zA-Z]\w*)\s*(?=[,:}=])|\['([a-zA-Z]\w*)'\]/g)].map(
      ([, dotted, taken, index]) => dotted ?? taken ?? index,
    ),
  ),
);

test('every member of a class is used', () => {
  const members = sources.flatMap(membersOf);
  expect(members.length).toBeGreaterThan(100);
  expect(members.filter(({ name }) => !used.has(name)).map(({ owner, name }) => `${owner}.${name}`)).toEqual([]);
});

function membersOf(text: string): { owner: string; name: string }[] {
  return [...text.matchAll(CLASS)].flatMap(([, owner = '', body = '']) =>
    [...body.matchAll(MEMBER)].map(([, name = '']) => ({ owner, name })),
  );
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
