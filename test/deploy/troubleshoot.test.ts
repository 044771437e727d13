/** docs/troubleshoot.md has an entry for each existing error code, and for no other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { API_ERRORS } from '../../src/core/errors.ts';
import { FAILURE_CODES } from '../../src/core/execution.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/troubleshoot.md'), 'utf8');
const entries = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .flatMap((entry) => {
      const code = /^`(\w+)`\n/.exec(entry)?.[1];
      return code === undefined ? [] : [[code, entry.split(/^## /m)[0] ?? '']];
    }),
);

test('every error code of the API and of executions has its entry, and no entry is of a code that does not exist', () => {
  expect([...entries.keys()]).toEqual([...Object.keys(API_ERRORS), ...FAILURE_CODES]);
});

test.each([...entries])('%s: cause and remedy', (_code, entry) => {
  expect(entry).toMatch(/\*\*Cause\.\*\* \S[\s\S]*\n\*\*Remedy\.\*\* \S/);
});

test.each(Object.entries(API_ERRORS))('%s: its status', (code, { status }) => {
  expect(entries.get(code)).toContain(`**Cause.** ${status}:`);
});
