/** docs/configure.md is the output of scripts/configure-docs.ts for the present settings. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configureDocs } from '../../scripts/configure-docs/page.ts';

test('the page matches the present settings; otherwise run "node scripts/configure-docs.ts"', () => {
  expect(readFileSync(join(import.meta.dirname, '../../docs/configure.md'), 'utf8')).toBe(configureDocs());
});
