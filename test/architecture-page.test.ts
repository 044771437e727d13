/** The files and functions that docs/ARCHITECTURE.md names for each step, and for a new field, must exist. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../', import.meta.url);
const PAGE = readFileSync(new URL('docs/ARCHITECTURE.md', ROOT), 'utf8');

interface Step {
  file: string;
  functions: string[];
}

/** The rows of the table under a heading that name a file and a function. */
function stepsUnder(heading: string): Step[] {
  const [, after = ''] = PAGE.split(`## ${heading}\n`);
  const [section = ''] = after.split('\n## ');
  const rows = section.split('\n').filter((line) => line.startsWith('|') && line.includes('`src/'));
  return rows.map((row) => {
    const names = [...row.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    const files = names.filter((name) => name.startsWith('src/'));
    const [functionCell = ''] = row.split('|').slice(-2);
    const functions = [...functionCell.matchAll(/`([A-Za-z]+)`/g)].map(([, name = '']) => name);
    return { file: files.at(-1) ?? '', functions };
  });
}

/** Whether the text defines a function or a method of this name. */
function defines(text: string, name: string): boolean {
  return new RegExp(`(function\\*? |^\\s+(async |static )?#?)${name}(<[^(]*>)?\\(`, 'm').test(text);
}

describe.each([
  ['From a create to the wire', 10],
  ['From a report to a waiting client', 8],
  ['Output in `stream` mode', 8],
  ['Where to look', Number.POSITIVE_INFINITY],
])('%s', (heading, most) => {
  const steps = stepsUnder(heading);

  test.each(steps.map((step) => [step.file, step.functions.join(', '), step] as const))(
    '%s has %s',
    (_file, _names, { file, functions }) => {
      expect(functions).not.toEqual([]);
      const text = readFileSync(new URL(file, ROOT), 'utf8');
      expect(functions.filter((name) => !defines(text, name))).toEqual([]);
    },
  );

  test(`is described in at most ${most} files`, () => {
    expect(steps.length).toBeGreaterThan(3);
    expect(new Set(steps.map(({ file }) => file)).size).toBeLessThanOrEqual(most);
  });
});

test('the page names the places that a new field of an Execution needs', () => {
  const [, after = ''] = PAGE.split('## A new field of an Execution\n');
  const [section = ''] = after.split('\n## ');
  const places = [...section.matchAll(/`(\w+)` in\s+`(src\/[\w/.-]+)`/g)];
  expect(places.length).toBe(18);
  for (const [, name = '', file = ''] of places) {
    const text = readFileSync(new URL(file, ROOT), 'utf8');
    expect(text, file).toMatch(new RegExp(`(interface|const|function) ${name}\\b`));
  }
});
