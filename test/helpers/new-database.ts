/** New SQLite databases of tests. They are copies of one, because the migrations of a new database take 100 ms of CPU time and dozens of flushes. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const CACHE = join(ROOT, 'node_modules/.cache/execplane-tests');
const MIGRATIONS = join(ROOT, 'migrations/sqlite');
/** The code that determines a new database, besides the migrations. */
const CODE = ['database.ts', 'migrations.ts'].map((name) => join(ROOT, 'src/store/sqlite/file', name));

let original: string | undefined;

/** Makes the data directory of a server with a new database, unless it exists. */
export function prepareDataDirectory(dataDir: string): void {
  if (existsSync(dataDir)) return;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  placeNewDatabase(join(dataDir, 'execplane.db'));
}

/** Writes a database without rows, of the present schema, to the file `path`. */
export function placeNewDatabase(path: string): void {
  original ??= findOriginal();
  copyFileSync(original, path);
}

/** Returns the path of the database to copy. It is made once for each state of the migrations. */
function findOriginal(): string {
  const hash = createHash('sha256');
  const migrations = readdirSync(MIGRATIONS)
    .sort()
    .map((name) => join(MIGRATIONS, name));
  for (const file of [...migrations, ...CODE]) hash.update(readFileSync(file));
  const path = join(CACHE, `${hash.digest('hex').slice(0, 16)}.db`);
  if (!existsSync(path)) makeOriginal(path);
  return path;
}

/** Several processes may do so at once: each renames a complete file. */
function makeOriginal(path: string): void {
  mkdirSync(CACHE, { recursive: true });
  const making = mkdtempSync(join(CACHE, 'making-'));
  const file = join(making, 'new.db');
  execFileSync(process.execPath, [join(import.meta.dirname, 'empty-database.ts'), file]);
  renameSync(file, path);
  rmSync(making, { recursive: true });
}
