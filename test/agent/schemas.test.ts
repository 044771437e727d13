/** The checks of the agent are compiled from its schemas ahead of time: they must be the checks of the schemas as they are now. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checksSource } from '../../scripts/checks/source.ts';

test('checks.ts is the output of "npm run checks" for the schemas', () => {
  const url = new URL('../../src/agent/schemas/checks.ts', import.meta.url);
  expect(readFileSync(url, 'utf8') === checksSource(), 'run "npm run checks"').toBe(true);
});
