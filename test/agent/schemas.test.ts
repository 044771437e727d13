/** The compiled validators of the agent match its current schemas. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checksSource } from '../../scripts/checks/source.ts';

test('checks.ts is the output of "npm run checks" for the schemas', () => {
  const url = new URL('../../src/agent/schemas/checks.ts', import.meta.url);
  expect(readFileSync(url, 'utf8') === checksSource(), 'run "npm run checks"').toBe(true);
});
