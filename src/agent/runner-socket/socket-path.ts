import { closeSync, openSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Maximum length of a socket path, in bytes. The kernel's limit is 108 with the closing NUL (104 on macOS). */
const MAX_PATH_BYTES = 103;

/**
 * Calls `use` with a path to `dir`/`name` that fits into a socket address: the path itself, the path relative to the working directory, or a
 * path through an open descriptor of the directory.
 */
export async function withShortPath<T>(dir: string, name: string, use: (path: string) => Promise<T>): Promise<T> {
  const fitting = [join(dir, name), relative(process.cwd(), join(dir, name))].find(
    (path) => Buffer.byteLength(path) <= MAX_PATH_BYTES,
  );
  if (fitting !== undefined) return use(fitting);
  if (process.platform !== 'linux') {
    throw new Error(`${dir} is too long a path for a socket: choose a shorter EXECPLANE_AGENT_DIR.`);
  }
  const directory = openSync(dir, 'r');
  try {
    return await use(`/proc/self/fd/${directory}/${name}`);
  } finally {
    closeSync(directory);
  }
}
