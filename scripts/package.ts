/**
 * `npm run package`: makes the packages that are installed on machines, from a built tree.
 *
 *   node scripts/package.ts [--out DIR]       packages and tarballs with SHA256SUMS (default: packages/)
 *   node scripts/package.ts --program DIR     only the program as it is installed, without Node, for the container image
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeChecksums } from './package/checksums.ts';
import { debianPackages } from './package/debian-packages.ts';
import { stageProgram } from './package/program.ts';
import { readRelease } from './package/release.ts';
import { makeTarball, ROLES } from './package/tarball.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { out: { type: 'string' }, program: { type: 'string' } } });

if (values.program === undefined) packageAll(values.out ?? join(root, 'packages'));
else stageProgram({ root, to: values.program, withNode: false });

/** Prints a step to stderr. */
function tell(step: string): void {
  process.stderr.write(`package: ${step} …\n`);
}

function packageAll(out: string): void {
  const release = readRelease(root);
  const work = mkdtempSync(join(tmpdir(), 'execplane-package-'));
  try {
    const program = join(work, 'program');
    tell('the program, with Node and what it needs');
    stageProgram({ root, to: program, withNode: true });
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    tell('Debian packages (compressing takes a minute or two)');
    const packages = debianPackages({ root, program, work, out, release });
    const tarballs = ROLES.map((role) => {
      tell(`tarball of the ${role}`);
      return makeTarball({ root, program, work, out, release, role });
    });
    const files = [...packages, ...tarballs];
    const installer = 'install-agent.sh';
    copyFileSync(join(root, 'deploy', installer), join(out, installer));
    writeChecksums(out, [...files, installer]);
    process.stdout.write(execFileSync('ls', ['-lh', out], { encoding: 'utf8' }));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
