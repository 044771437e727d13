/** docs/configure.md is what scripts/configure-docs.ts makes of the settings that there are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configureDocs } from '../../scripts/configure-docs/page.ts';

test('the page is the one of the present settings: else run "node scripts/configure-docs.ts"', () => {
  expect(readFileSync(join(import.meta.dirname, '../../docs/configure.md'), 'utf8')).toBe(configureDocs());
});
