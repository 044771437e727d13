/** `npm run checks`: makes src/agent/schemas/checks.ts anew from the schemas that it is the compiled form of. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksSource } from './checks/source.ts';

writeFileSync(join(import.meta.dirname, '../src/agent/schemas/checks.ts'), checksSource());
