/** Builds the console with Vite, and writes each of its files compressed beside the plain one, for the server to send. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'vite';

const COMPRESSED = new Set(['.css', '.html', '.js', '.svg']);
/** Warnings that are not shown: about directives for other bundlers, and about the time that plugins take on a busy machine. */
const UNREMARKABLE = new Set(['MODULE_LEVEL_DIRECTIVE', 'PLUGIN_TIMINGS']);
/** Close to the best compression, in a tenth of its time. */
const BROTLI_QUALITY = 9;

/** Builds the console. `root`: folder of the project; `to`: a new folder. */
export async function buildConsole({ root, to }: { root: string; to: string }): Promise<void> {
  await build({
    root: join(root, 'src/console'),
    base: '/console/',
    configFile: false,
    logLevel: 'warn',
    build: {
      outDir: to,
      emptyOutDir: true,
      target: 'es2024',
      modulePreload: { polyfill: false },
      license: { fileName: 'licenses.md' },
      rolldownOptions: { onLog: (level, log, tell) => !UNREMARKABLE.has(log.code ?? '') && tell(level, log) },
    },
  });
  for (const entry of readdirSync(to, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && COMPRESSED.has(extname(entry.name))) compress(join(entry.parentPath, entry.name));
  }
}

function compress(path: string): void {
  const plain = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY };
  writeFileSync(`${path}.br`, brotliCompressSync(plain, { params }));
  writeFileSync(`${path}.gz`, gzipSync(plain));
}
