/**
 * The program as it was released before: from the last tag (`v…`) behind this commit, or, until there is one, from the first
 * commit in which server and agent were tried together, from nothing to the end. It is run from its source, with the packages
 * that are installed here.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** A file that this commit added. */
const FIRST_TRIAL = 'test/cli/up.test.ts';

/** The name of the earlier release; undefined without a history of the repository. */
export function earlierRelease(): string | undefined {
  const tag = git('describe', '--tags', '--abbrev=0', '--match', 'v*', 'HEAD^');
  const first = git('log', '--format=%h', '--diff-filter=A', '--', FIRST_TRIAL);
  return tag || first?.split('\n').at(-1) || undefined;
}

/** Unpacks it; `main` is its `execplane`. */
export function checkOut(release: string): { main: string; dispose: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-earlier-'));
  const archive = execFileSync(
    'git',
    ['archive', '--format=tar', release, 'src', 'native', 'migrations', 'package.json'],
    {
      cwd: ROOT,
      maxBuffer: 1 << 28,
    },
  );
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return { main: join(folder, 'src/cli/main.ts'), dispose: () => rmSync(folder, { recursive: true }) };
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
