/**
 * The earlier release of the program: the last tag (`v…`) before this commit. Without a tag it is the first commit with an
 * end-to-end test of server and agent. The release runs from its source with the packages that are installed in this clone.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** A file that was added by the first commit with an end-to-end test. */
const END_TO_END_TEST = 'test/cli/up.test.ts';

/** The tag or commit of the earlier release; undefined if the repository has no history. */
export function earlierRelease(): string | undefined {
  const tag = git('describe', '--tags', '--abbrev=0', '--match', 'v*', 'HEAD^');
  const first = git('log', '--format=%h', '--diff-filter=A', '--', END_TO_END_TEST);
  return tag || first?.split('\n').at(-1) || undefined;
}

/** Unpacks the release into a temporary directory. `main`: the path of its CLI. */
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
