/**
 * Bundles the command line into few files, because loading sixty files takes longer than the work of a short command. Server and agent are
 * separate programs, which this bundle does not contain.
 */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { loadBuiltinsInPart } from './builtins.ts';

/** Modules whose functions a command calls late or never. */
const CALLED = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:stream/promises',
  'node:timers/promises',
]);
const PROGRAMS = /^\/(server|agent)\//;

/** Replaces `cli/` of the compiled program in `dist`. */
export async function bundleCli(dist: string): Promise<void> {
  const to = join(dist, 'bundle');
  await build({
    root: dist,
    configFile: false,
    logLevel: 'warn',
    plugins: [loadBuiltinsInPart(CALLED)],
    build: {
      outDir: to,
      ssr: true,
      target: 'node22',
      minify: false,
      rolldownOptions: {
        input: join(dist, 'cli/main.js'),
        external: (id) => id.startsWith(dist) && PROGRAMS.test(id.slice(dist.length)),
        treeshake: { propertyReadSideEffects: false },
        output: {
          entryFileNames: 'main.js',
          // Chunks keep the depth of the file, which locates other files relative to itself.
          chunkFileNames: ({ name }) => (name === 'run-up' ? 'up/[name].js' : '[name].js'),
          // Code that two commands share is in one file.
          codeSplitting: { groups: [{ name: 'common', minShareCount: 2 }] },
        },
      },
    },
    ssr: { noExternal: ['commander'] },
  });
  rmSync(join(dist, 'cli'), { recursive: true });
  renameSync(to, join(dist, 'cli'));
}
