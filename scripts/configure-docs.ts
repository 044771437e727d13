/** `node scripts/configure-docs.ts`: generates docs/configure.md from the tables that the program reads. */
import { writeFileSync } from 'node:fs';
import { configureDocs } from './configure-docs/page.ts';

writeFileSync(new URL('../docs/configure.md', import.meta.url), configureDocs());
