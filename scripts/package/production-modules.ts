/** Copies the npm packages that run in production, according to the lock file, without files that only their development needs. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';

interface LockEntry {
  dev?: boolean;
  devOptional?: boolean;
}

/** Only read when better-sqlite3 is compiled during its installation. */
const BUILD_ONLY = new Set(['node_modules/node-addon-api']);
const DEVELOPMENT_FOLDERS = new Set(['test', 'tests', 'integration', 'docs', 'benchmark', 'benchmarks', 'examples']);
const DEVELOPMENT_FILE = /\.(d\.[cm]?ts|ts|map|md|markdown|yml|html)$/;

/** Copies the packages from `root`/node_modules to `to`/node_modules. */
export function copyProductionModules(root: string, to: string): void {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '' || entry.dev || entry.devOptional || BUILD_ONLY.has(path)) continue;
    const from = join(root, path);
    if (!existsSync(from)) throw new Error(`${path} is missing: run "npm install" first.`);
    cpSync(from, join(to, path), { recursive: true, filter: (file) => isWanted(path, relative(from, file)) });
  }
  // No file is run as a program, but some packages contain executable modes.
  execFileSync('chmod', ['-R', 'a-x,a+X', join(to, 'node_modules')]);
}

function isWanted(path: string, file: string): boolean {
  const [top, second] = file.split(sep);
  if (top === undefined || top === '') return true;
  if (top === 'node_modules' || DEVELOPMENT_FOLDERS.has(top)) return false;
  if (path === 'node_modules/better-sqlite3') {
    if (top === 'src' || top === 'deps') return false;
    if (top === 'prebuilds' && second !== undefined) return second === `${process.platform}-${process.arch}.node`;
  }
  if (basename(file).startsWith('.')) return false;
  return /^licen[cs]e/i.test(basename(file)) || !DEVELOPMENT_FILE.test(file);
}
