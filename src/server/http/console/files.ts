/** The files of the console that Vite built (`npm run build`). They are read once and served from memory, in a coding that the browser accepts. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const BUILT = fileURLToPath(new URL('../../../../dist/console/', import.meta.url));

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Content codings, best first. The build makes each file in these codings beside the plain one. */
const CODINGS = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
] as const;

export interface ConsoleFile {
  mediaType: string;
  plain: Buffer;
  /** Content coding → the file in it. */
  coded: ReadonlyMap<string, Buffer>;
}

/** Returns the files by path (`index.html`, `assets/index-B3f….js`). None if the console was not built. */
export function readConsoleFiles(folder = BUILT): ReadonlyMap<string, ConsoleFile> {
  const files = new Map<string, ConsoleFile>();
  if (!existsSync(folder)) return files;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const mediaType = MEDIA_TYPES[extname(entry.name)];
    if (!entry.isFile() || mediaType === undefined) continue;
    const path = join(entry.parentPath, entry.name);
    const coded = CODINGS.filter(({ suffix }) => existsSync(path + suffix)).map(
      ({ name, suffix }) => [name, readFileSync(path + suffix)] as const,
    );
    files.set(relative(folder, path), { mediaType, plain: readFileSync(path), coded: new Map(coded) });
  }
  return files;
}

/** Returns the best coding of a file that an Accept-Encoding header accepts. `undefined`: none. */
export function codingFor(file: ConsoleFile, acceptEncoding: string | undefined): string | undefined {
  const taken = new Set(
    (acceptEncoding ?? '')
      .split(',')
      .map((part) => part.trim())
      .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
      .map((part) => part.split(';')[0]),
  );
  return [...file.coded.keys()].find((coding) => taken.has(coding));
}
