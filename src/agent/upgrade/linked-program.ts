/** Upgrades an agent from a tarball. A symbolic link beside its folder leads to the present version. */
import { existsSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Change, ChangeRequest } from './change.ts';
import { verifyChecksum } from './checksums.ts';
import { detachLink, endLinksOf, startedAgain, startedAs } from './link-process.ts';
import { runTool } from './run-tool.ts';
import { tryProgram } from './trial.ts';

/** Returns a change from the program under `root` to the one at `to`: a tarball, or a folder with an unpacked one. */
export async function changeLinkedProgram(root: string, { dir, to, before }: ChangeRequest): Promise<Change> {
  const links = linksTo(root);
  const [link] = links;
  if (link === undefined) {
    const present = join(dirname(root), 'execplane');
    throw new Error(
      `no symbolic link beside ${root} leads to it, so there is nothing to change: run "ln -s ${basename(root)} ${present}" and start the agent as ${present}/bin/execplane.`,
    );
  }
  const as = startedAs(before.pid);
  const unpacked = !statSync(to).isDirectory();
  const next = unpacked ? await unpack(to, dirname(root)) : resolve(to);
  const remove = () => {
    if (unpacked) rmSync(next, { recursive: true, force: true });
  };
  const version = await tryProgram(next).catch((error: unknown) => {
    remove();
    throw error;
  });
  const restart = () => startedAgain(dir, join(link, 'bin/execplane'), as);
  return {
    version,
    async apply() {
      for (const path of links) point(path, next);
      await detachLink(before.pid);
      await restart();
    },
    async revert() {
      for (const path of links) point(path, root);
      await endLinksOf(next);
      await restart();
    },
    dispose(kept) {
      if (!kept) remove();
    },
  };
}

/** Returns the symbolic links in the parent folder of `root` that lead to it. */
function linksTo(root: string): string[] {
  const parent = dirname(root);
  return readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map(({ name }) => join(parent, name))
    .filter((path) => existsSync(path) && realpathSync(path) === root);
}

/** Replaces the symbolic link atomically: it always leads to one of the two versions. */
function point(link: string, root: string): void {
  const next = `${link}.${process.pid}.new`;
  rmSync(next, { force: true });
  symlinkSync(relative(dirname(link), root), next);
  renameSync(next, link);
}

/** Unpacks a tarball of a release into `parent`. Returns its folder there. */
async function unpack(tarball: string, parent: string): Promise<string> {
  await verifyChecksum(tarball);
  const staging = mkdtempSync(join(parent, '.execplane-'));
  try {
    await runTool('tar', ['-xzf', tarball, '-C', staging]);
    const [name, ...others] = readdirSync(staging);
    if (name === undefined || others.length > 0) throw new Error(`${tarball} is not a tarball of a release`);
    const root = join(parent, name);
    if (existsSync(root)) throw new Error(`${root} exists already: to change to it, use --to ${root}`);
    renameSync(join(staging, name), root);
    return root;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}
