/** docs/troubleshoot.md has an entry for exactly the existing error codes. */
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

test('the page has an entry for every error code of the API and of executions, and no other', () => {
  expect([...entries.keys()]).toEqual([...Object.keys(API_ERRORS), ...FAILURE_CODES]);
});

test.each([...entries])('%s has a cause and a remedy', (_code, entry) => {
  expect(entry).toMatch(/\*\*Cause\.\*\* \S[\s\S]*\n\*\*Remedy\.\*\* \S/);
});

test.each(Object.entries(API_ERRORS))('%s has its status', (code, { status }) => {
  expect(entries.get(code)).toContain(`**Cause.** ${status}:`);
});
