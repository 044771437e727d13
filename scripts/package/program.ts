/** Makes the tree of the installed program, which is the same in the packages, the tarballs and the container image. */
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyProductionModules } from './production-modules.ts';
import { readManifest } from './release.ts';

/** Puts the program into `to`, from a tree that has been built. `withNode`: with the Node runtime that the project pins. */
export function stageProgram({ root, to, withNode }: { root: string; to: string; withNode: boolean }): void {
  if (!existsSync(join(root, 'dist/cli/main.js'))) throw new Error('dist/ is missing: run "npm run build" first.');
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, 'bin'), { recursive: true });
  symlinkSync('../dist/cli/execplane', join(to, 'bin/execplane'));
  const { name, version, license, type, bin } = readManifest(root);
  writeFileSync(join(to, 'package.json'), `${JSON.stringify({ name, version, license, type, bin }, undefined, 2)}\n`);
  // Declarations are for users of the client library, which comes from the registry.
  const filter = (path: string) => !path.endsWith('.d.ts');
  for (const folder of ['dist', 'assets', 'migrations'])
    cpSync(join(root, folder), join(to, folder), { recursive: true, filter });
  cpSync(join(root, 'LICENSE'), join(to, 'LICENSE'));
  copyNative(root, to);
  copyProductionModules(root, to);
  if (withNode) copyNode(root, to);
}

function copyNative(root: string, to: string): void {
  const folder = join('native/prebuilt', `${process.platform}-${process.arch}`);
  cpSync(join(root, folder), join(to, folder), { recursive: true });
  chmodSync(join(to, folder, 'execplane-spawner'), 0o755);
}

/** The pinned Node is a development dependency, whose package has the binary but not the licence. */
function copyNode(root: string, to: string): void {
  const binary = join(root, 'node_modules/node/bin/node');
  if (!existsSync(binary)) throw new Error('node_modules/node is missing: run "npm install" first.');
  cpSync(binary, join(to, 'bin/node'));
  chmodSync(join(to, 'bin/node'), 0o755);
  cpSync(join(root, 'deploy/node/LICENSE'), join(to, 'bin/LICENSE.node'));
}
