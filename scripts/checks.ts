/** `npm run checks`: generates the checks of the agent and the shapes of answers from the schemas. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHAPE_FILES, shapesSource } from './checks/shapes.ts';
import { checksSource } from './checks/source.ts';

const root = join(import.meta.dirname, '..');
writeFileSync(join(root, 'src/agent/schemas/checks.ts'), checksSource());
for (const file of SHAPE_FILES) writeFileSync(join(root, file.path), shapesSource(file));
