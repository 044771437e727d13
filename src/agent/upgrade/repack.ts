/** Builds a package from an installed one, to restore it: the file that it was installed from is not kept. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

/** Files that dpkg itself makes during an installation. */
const NOT_CONTROL = new Set(['list', 'md5sums']);

/** Builds a package in `folder` from the files that dpkg has installed as `name`. Returns its path. */
export async function repack(name: string, folder: string): Promise<string> {
  const tree = join(folder, `${name}.tree`);
  const control = join(tree, 'DEBIAN');
  mkdirSync(control, { recursive: true, mode: 0o755 });
  writeFileSync(join(control, 'control'), controlOf(await runTool('dpkg-query', ['--status', name])));
  for (const part of lines(await runTool('dpkg-query', ['--control-list', name]))) {
    if (NOT_CONTROL.has(part)) continue;
    const text = await runTool('dpkg-query', ['--control-show', name, part]);
    writeFileSync(join(control, part), text, { mode: part === 'conffiles' ? 0o644 : 0o755 });
  }
  const listed = lines(await runTool('dpkg-query', ['--listfiles', name]));
  const list = join(folder, `${name}.files`);
  writeFileSync(
    list,
    listed
      .filter(isFile)
      .map((path) => `.${path}\n`)
      .join(''),
  );
  const archive = join(folder, `${name}.tar`);
  await runTool('tar', ['--create', '--file', archive, '--directory', '/', `--files-from=${list}`]);
  await runTool('tar', ['--extract', '--preserve-permissions', '--file', archive, '--directory', tree]);
  const made = join(folder, `${name}.deb`);
  await runTool('dpkg-deb', ['--build', '--root-owner-group', '-Znone', tree, made]);
  return made;
}

/** Returns the control file without the lines that dpkg adds when it installs a package. */
export function controlOf(status: string): string {
  return status.replace(/^(Status|Config-Version): .*\n/gm, '').replace(/^Conffiles:\n( .*\n)*/m, '');
}

/** Whether a path is packed as a file. Folders are created as needed, because /lib, a symbolic link, would become a folder. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
