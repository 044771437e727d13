import { mkdirSync, statSync } from 'node:fs';

/** The agent's directory cannot be used as it is. The message says what to do. */
class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/**
 * Makes the agent's directory (0700), or checks the existing one. Throws DirectoryError if other users have access: a user who reaches
 * the runner's socket runs commands as this user.
 */
export function prepareDirectory(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const stat = statSync(dir);
  if (!stat.isDirectory()) throw new DirectoryError(`${dir} is not a directory (EXECPLANE_AGENT_DIR).`);
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new DirectoryError(
      `${dir} belongs to another user (uid ${stat.uid}): run the agent as that user, or give it its own EXECPLANE_AGENT_DIR.`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    throw new DirectoryError(`${dir} is open to other users (mode ${mode}): close it with "chmod 0700 ${dir}".`);
  }
}
