import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Release } from './release.ts';

/** A file of the package: its path or its content, and the place where dpkg puts it. */
export interface DebFile {
  source: { path: string } | { text: string };
  /** Absolute, on the machine where it is installed. */
  to: string;
  mode: number;
  /** A configuration file: dpkg keeps changes of the administrator, and purge removes it. */
  conffile?: true;
  gzip?: true;
}

export interface Deb {
  name: string;
  summary: string;
  description: string;
  depends: string;
  recommends?: string;
  suggests?: string;
  /** Folder with postinst, prerm, postrm (those that the package needs). */
  scripts?: string;
  folders?: readonly { from: string; to: string }[];
  files: readonly DebFile[];
}

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
const MAINTAINER = 'The Execplane authors <packages@execplane.invalid>';
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** The version for Debian: that of the program, and the revision of its packaging. */
export function debianVersion(release: Release): string {
  return `${release.version}-1`;
}

/** The packaging's changelog. Changes of the program are in the other one. */
export function debianChangelog(release: Release): string {
  const date = new Date(release.epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `execplane (${debianVersion(release)}) unstable; urgency=medium\n\n  * Version ${release.version}: see changelog.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

/** Builds NAME_VERSION_ARCH.deb in `out`. Returns its file name. */
export function buildDeb(deb: Deb, p: { work: string; out: string; release: Release }): string {
  const architecture = ARCHITECTURES[p.release.arch];
  if (architecture === undefined) throw new Error(`Debian has no name here for ${p.release.arch}.`);
  const tree = join(p.work, deb.name);
  // Without `verbatimSymlinks` cpSync makes a relative link absolute, so that it would lead to a folder of the building machine.
  for (const { from, to } of deb.folders ?? [])
    cpSync(from, join(tree, to), { recursive: true, verbatimSymlinks: true });
  for (const file of deb.files) placeFile(tree, file);
  const control = join(tree, 'DEBIAN');
  mkdirSync(control, { recursive: true });
  writeFileSync(join(control, 'md5sums'), md5sums(tree));
  writeFileSync(join(control, 'control'), controlFile(deb, debianVersion(p.release), architecture, tree));
  const conffiles = deb.files.filter((file) => file.conffile).map((file) => `${file.to}\n`);
  if (conffiles.length > 0) writeFileSync(join(control, 'conffiles'), conffiles.join(''));
  if (deb.scripts !== undefined) copyScripts(deb.scripts, control);
  normalise(tree, p.release.epoch);
  const name = `${deb.name}_${debianVersion(p.release)}_${architecture}.deb`;
  const build = ['dpkg-deb', '--root-owner-group', '-Zxz', '-z3', '--build', tree, join(p.out, name)];
  execFileSync('env', [`SOURCE_DATE_EPOCH=${p.release.epoch}`, ...build], { stdio: ['ignore', 'ignore', 'inherit'] });
  return name;
}

function placeFile(tree: string, file: DebFile): void {
  const to = join(tree, file.to);
  mkdirSync(dirname(to), { recursive: true });
  const bytes = 'path' in file.source ? readFileSync(file.source.path) : Buffer.from(file.source.text);
  writeFileSync(to, file.gzip ? gzipSync(bytes, { level: 9 }) : bytes);
  chmodSync(to, file.mode);
}

function copyScripts(from: string, control: string): void {
  for (const script of SCRIPTS) {
    if (!existsSync(join(from, script))) continue;
    cpSync(join(from, script), join(control, script));
    chmodSync(join(control, script), 0o755);
  }
}

function controlFile(deb: Deb, version: string, architecture: string, tree: string): string {
  const size = execFileSync('du', ['-sk', '--apparent-size', '--exclude=DEBIAN', tree], { encoding: 'utf8' }).split(
    '\t',
  )[0];
  const fields = [
    `Package: ${deb.name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${size}`,
    `Depends: ${deb.depends}`,
    ...(deb.recommends === undefined ? [] : [`Recommends: ${deb.recommends}`]),
    ...(deb.suggests === undefined ? [] : [`Suggests: ${deb.suggests}`]),
    'Section: admin',
    'Priority: optional',
    `Description: ${deb.summary}`,
    ...deb.description.split('\n').map((line) => ` ${line}`),
  ];
  return `${fields.join('\n')}\n`;
}

function md5sums(tree: string): string {
  return execFileSync('sh', ['-c', "find . -type f ! -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0 md5sum"], {
    cwd: tree,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
}

/** Sets modes and times that do not depend on the building user: folders 0755, files without group write. */
function normalise(tree: string, epoch: number): void {
  execFileSync('chmod', ['-R', 'u+rwX,go-w', tree]);
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    if (!entry.isSymbolicLink()) utimesSync(path, epoch, epoch);
  }
  chmodSync(tree, 0o755);
  utimesSync(tree, epoch, epoch);
}
