/**
 * `npm run build`: builds dist/ from src/. It replaces the old dist/ as a whole, so that a program that runs from the old one never loads a
 * part of the new one.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildConsole } from './build-console.ts';
import { bundleCli } from './bundle/cli.ts';
import { bundleServer } from './bundle/server.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const work = mkdtempSync(join(root, 'node_modules/.execplane-build-'));

try {
  const next = join(work, 'next');
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  // The second compilation makes the declarations of the client library, against the types of a browser alone.
  for (const project of ['tsconfig.build.json', 'tsconfig.client.json']) {
    execFileSync(process.execPath, [compiler, '-p', join(root, project), '--outDir', next], { stdio: 'inherit' });
  }
  await bundleCli(next);
  await bundleServer(next);
  await buildConsole({ root, to: join(next, 'console') });
  copyFileSync(join(root, 'src/cli/launcher.sh'), join(next, 'cli/execplane'));
  for (const program of ['main.js', 'execplane']) chmodSync(join(next, 'cli', program), 0o755);
  if (existsSync(dist)) renameSync(dist, join(work, 'before'));
  renameSync(next, dist);
} catch (error) {
  // The compiler has printed the errors.
  if (!isFailedProcess(error)) console.error(error);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

function isFailedProcess(error: unknown): boolean {
  return error instanceof Error && 'status' in error;
}
