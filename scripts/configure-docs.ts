/** `node scripts/configure-docs.ts`: docs/configure.md anew, from the tables that the program reads. */
import { writeFileSync } from 'node:fs';
import { configureDocs } from './configure-docs/page.ts';

writeFileSync(new URL('../docs/configure.md', import.meta.url), configureDocs());
