/** The shapes of answers match the present schemas of src/api. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SHAPE_FILES, shapesSource } from '../../../scripts/checks/shapes.ts';

test.each(SHAPE_FILES)('$path is the output of "npm run checks" for the schemas', (file) => {
  const text = readFileSync(join(import.meta.dirname, '../../..', file.path), 'utf8');
  expect(text === shapesSource(file), 'run "npm run checks"').toBe(true);
});
