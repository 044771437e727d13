/**
 * Members of classes that nothing in src uses: dead, or there for a test alone. knip finds unused exports; since version 6 it looks at no
 * class members. Names are compared, not symbols: a name that another class uses as well counts as used.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SRC = join(import.meta.dirname, '../src');
const CLASS = /^(?:export )?(?:abstract )?class (\w+)[^{]*\{\n([\s\S]*?)^\}/gm;
/** One line of a class body, as the formatter indents it: its modifiers and its name. Private names (`#`) are the compiler's business. */
const MEMBER =
  /^ {2}(?!override\b|constructor\b)(?:(?:static|readonly|async|get|set|\*)\s+)*([a-zA-Z]\w*)\??\s*(?:[(<:=;]|$)/gm;

const sources = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map((entry) => withoutComments(readFileSync(join(entry.parentPath, entry.name), 'utf8')));
/** Every name that is read from something: after a dot, taken apart, or as an index. */
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
