/**
 * Bundles the server and TypeBox into few files. As a thousand modules they take 18 MB more memory and twice the time to load, because Node
 * keeps the source, a record and an address of each module.
 */
import { renameSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'vite';
import { loadBuiltinsInPart } from './builtins.ts';

/** Replaces `server/` of the compiled program in `dist`, and removes modules that no other program uses. */
export async function bundleServer(dist: string): Promise<void> {
  const server = join(dist, 'server');
  const to = join(dist, 'bundle');
  await build({
    root: dist,
    configFile: false,
    logLevel: 'warn',
    plugins: [loadBuiltinsInPart(), keepModuleUrls({ dist, from: server })],
    build: {
      outDir: to,
      ssr: true,
      target: 'node22',
      minify: false,
      rolldownOptions: {
        input: join(server, 'main.js'),
        treeshake: { propertyReadSideEffects: false },
        output: {
          entryFileNames: 'main.js',
          chunkFileNames: '[name].js',
          banner: 'const urlOfModule = (path) => new URL(path, import.meta["url"]).href;',
        },
      },
    },
    ssr: { noExternal: ['typebox'] },
  });
  for (const folder of ['server', 'store']) rmSync(join(dist, folder), { recursive: true });
  renameSync(to, server);
}

/** Keeps the URL of each bundled module, by which it locates files of the package. */
function keepModuleUrls({ dist, from }: { dist: string; from: string }): Plugin {
  return {
    name: 'keep-module-urls',
    enforce: 'pre',
    transform: (code, id) => {
      if (!id.startsWith(dist) || !code.includes('import.meta.url')) return null;
      return code.replaceAll('import.meta.url', `urlOfModule(${JSON.stringify(relative(from, id))})`);
    },
  };
}
