/**
 * Puts the command line into few files: to load sixty of them takes longer than all that a short command does. Server and agent stay as
 * they are: they are programs of their own.
 */
import { renameSync, rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'vite';

const PREFIX = '\0builtin:';
/** Modules of functions that a command calls late, or never. */
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
    plugins: [loadBuiltinsInPart()],
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
          // As deep as the file was that looks for others beside it.
          chunkFileNames: ({ name }) => (name === 'run-up' ? 'up/[name].js' : '[name].js'),
          // All that two commands have in common is one file.
          codeSplitting: { groups: [{ name: 'common', minShareCount: 2 }] },
        },
      },
    },
    ssr: { noExternal: ['commander'] },
  });
  rmSync(join(dist, 'cli'), { recursive: true });
  renameSync(to, join(dist, 'cli'));
}

/**
 * A statement that imports a module of Node's reads all of its properties, and some of them load much when they are read: `WebSocket` of
 * `node:http` loads all of undici. Here only those are read that are used, and those of `CALLED` when they are called.
 */
function loadBuiltinsInPart(): Plugin {
  return {
    name: 'load-builtins-in-part',
    enforce: 'pre',
    resolveId: (id) => (id.startsWith('node:') && isBuiltin(id) ? PREFIX + id : null),
    load: (id) => {
      if (!id.startsWith(PREFIX)) return null;
      return { code: partsOf(id.slice(PREFIX.length)), moduleSideEffects: false };
    },
  };
}

function partsOf(id: string): string {
  const names = Object.keys(process.getBuiltinModule(id) ?? {}).filter((name) => name !== 'default');
  const module = `process.getBuiltinModule(${JSON.stringify(id)})`;
  const parts = names.map((name) => {
    const isCalled = CALLED.has(id) && /^[a-z]/.test(name);
    const value = isCalled ? `(...given) => ${module}.${name}(...given)` : `/* @__PURE__ */ ${module}.${name}`;
    return `export const ${name} = ${value};`;
  });
  return [`export default /* @__PURE__ */ ${module};`, ...parts].join('\n');
}
