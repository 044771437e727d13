/** Upgrades an agent that was installed from Debian packages: dpkg replaces the files, and the packages restart the unit. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Change } from './change.ts';
import { verifyChecksum } from './checksums.ts';
import { repack } from './repack.ts';
import { runTool } from './run-tool.ts';
import { tryProgram } from './trial.ts';

const PACKAGES = ['execplane', 'execplane-agent'];

/** Whether dpkg installed the program under `root`. */
export async function isPackaged(root: string): Promise<boolean> {
  return runTool('dpkg-query', ['--search', join(root, 'package.json')]).then(
    () => true,
    () => false,
  );
}

/** Returns a change from the installed packages to those in the folder `to`, as `npm run package` makes it. Needs root. */
export async function changePackages(to: string): Promise<Change> {
  if (process.getuid?.() !== 0) throw new Error('packages are installed by root: run this as root');
  await refuseWithServer();
  const architecture = (await runTool('dpkg', ['--print-architecture'])).trim();
  const files = PACKAGES.map((name) => packageIn(resolve(to), name, architecture));
  for (const file of files) await verifyChecksum(file);
  const folder = mkdtempSync(join(tmpdir(), 'execplane-upgrade-'));
  const dispose = () => rmSync(folder, { recursive: true, force: true });
  try {
    const version = await tryPackage(files[0] ?? '', join(folder, 'trial'));
    const installed: string[] = [];
    for (const name of PACKAGES) installed.push(await repack(name, folder));
    return { version, apply: () => install(files), revert: () => install(installed), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Throws if the server is installed from the same packages: an older server cannot open the database of a newer one. */
async function refuseWithServer(): Promise<void> {
  const status = await runTool('dpkg-query', ['--status', 'execplane-server']).catch(() => '');
  if (!status.includes('\nStatus: install ok installed\n')) return;
  throw new Error(
    'the server on this machine is from the same packages: upgrade all of them with dpkg (docs/upgrade.md)',
  );
}

function packageIn(folder: string, name: string, architecture: string): string {
  const found = readdirSync(folder).filter(
    (file) => file.startsWith(`${name}_`) && file.endsWith(`_${architecture}.deb`),
  );
  const [file] = found;
  if (file === undefined || found.length > 1) {
    throw new Error(
      `${folder} must hold exactly one package ${name}_VERSION_${architecture}.deb, and holds ${found.length}`,
    );
  }
  return join(folder, file);
}

/** Unpacks the program of a package elsewhere, and checks that it runs on this machine. Returns its version. */
async function tryPackage(file: string, folder: string): Promise<string> {
  await runTool('dpkg-deb', ['--extract', file, folder]);
  const version = await tryProgram(join(folder, 'usr/lib/execplane'));
  rmSync(folder, { recursive: true });
  return version;
}

async function install(files: readonly string[]): Promise<void> {
  await runTool('dpkg', ['--install', '--force-confold', ...files]);
}
