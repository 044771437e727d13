/** The staged program contains exactly the modules that it needs, and no development dependencies. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildDeb } from '../../scripts/package/deb.ts';
import { rolePackage } from '../../scripts/package/debian-packages.ts';
import { stageProgram } from '../../scripts/package/program.ts';
import { readRelease } from '../../scripts/package/release.ts';
import { makeTarball } from '../../scripts/package/tarball.ts';

const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'execplane-program-'));
const program = join(folder, 'program');

beforeAll(() => stageProgram({ root: ROOT, to: program, withNode: false }));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['server', 'agent', 'up', 'exec', 'machines'])('execplane %s loads', (command) => {
  const said = execFileSync(process.execPath, [join(program, 'dist/cli/main.js'), command, '--help'], {
    encoding: 'utf8',
  });
  expect(said).toContain(`Usage: execplane ${command}`);
});

test('the database module loads its native part', () => {
  const open = "new (require('better-sqlite3'))(':memory:').prepare('SELECT 1').get()";
  execFileSync(process.execPath, ['-e', open], { cwd: program });
});

test('the spawner is present, and files for other platforms are not', () => {
  expect(existsSync(join(program, `native/prebuilt/${process.platform}-${process.arch}/execplane-spawner`))).toBe(true);
  const files = execFileSync(
    'find',
    [program, '-name', '*darwin*.node', '-o', '-name', '*.d.ts', '-o', '-name', 'typescript'],
    {
      encoding: 'utf8',
    },
  );
  expect(files).toBe('');
});

test('files that are read beside the code exist', () => {
  for (const file of ['assets/docs/try.js', 'migrations/sqlite']) expect(existsSync(join(program, file))).toBe(true);
});

test('the program prints the version of package.json', () => {
  const version = execFileSync('sh', [join(program, 'bin/execplane'), '--version'], {
    encoding: 'utf8',
    env: { PATH: `${join(process.execPath, '..')}:/usr/bin:/bin` },
  });
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  expect(version.trim()).toBe(manifest.version);
});

const PROVIDERS = ['aws', 'docker', 'hetzner', 'libvirt', 'wake-on-lan'];

test('the Debian package of the server has the providers where docs/providers.md says', () => {
  const release = readRelease(ROOT);
  const [server, agent] = (['server', 'agent'] as const).map((role) => {
    const file = buildDeb(rolePackage({ root: ROOT, release }, role), {
      work: join(folder, role),
      out: folder,
      release,
    });
    return execFileSync('dpkg-deb', ['--contents', join(folder, file)], { encoding: 'utf8' });
  });
  const found = [
    ...(server ?? '').matchAll(/^-rwxr-xr-x root\/root .* \.\/usr\/share\/execplane\/providers\/(\S+)$/gm),
  ];
  expect(found.map(([, name]) => name)).toEqual(PROVIDERS);
  expect(agent).not.toContain('providers');
  expect(readFileSync(join(ROOT, 'docs/providers.md'), 'utf8')).toContain('"/usr/share/execplane/providers/docker"');
});

test('links in a Debian package point into the package, wherever it was built', () => {
  const release = readRelease(ROOT);
  const folders = [{ from: join(program, 'bin'), to: 'usr/lib/execplane/bin' }];
  const deb = { name: 'execplane', summary: 'links', description: 'links', depends: 'libc6', folders, files: [] };
  const file = buildDeb(deb, { work: join(folder, 'links'), out: folder, release });
  const listed = execFileSync('dpkg-deb', ['--contents', join(folder, file)], { encoding: 'utf8' });
  expect(listed).toMatch(/\.\/usr\/lib\/execplane\/bin\/execplane -> \.\.\/dist\/cli\/execplane$/m);
});

test('the tarball of the server has the providers in share/providers', () => {
  const release = readRelease(ROOT);
  const work = join(folder, 'tarball');
  mkdirSync(work);
  const file = makeTarball({ root: ROOT, program, work, out: folder, release, role: 'server' });
  const listed = execFileSync('tar', ['--list', '--verbose', '--file', join(folder, file)], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  expect(listed).toMatch(/ execplane-server-[\d.]+\/bin\/execplane -> \.\.\/dist\/cli\/execplane$/m);
  const found = [...listed.matchAll(/^-rwxr-xr-x .* execplane-server-[\d.]+\/share\/providers\/(\S+)$/gm)];
  expect(found.map(([, name]) => name)).toEqual(PROVIDERS);
});
