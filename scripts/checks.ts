/** `npm run checks`: generates src/agent/schemas/checks.ts from the schemas. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksSource } from './checks/source.ts';

writeFileSync(join(import.meta.dirname, '../src/agent/schemas/checks.ts'), checksSource());
