import { statSync } from 'node:fs';
import { ConfigError } from '../../node/config-error.ts';
import { makeConfiguredDirectory } from '../../node/files/configured-directory.ts';
import type { ConfiguredDirectory } from '../../node/files/directory-owner.ts';

const SETTING = 'EXECPLANE_AGENT_DIR';

/** The state directory of an agent. */
export function stateDirectory(dir: string): ConfiguredDirectory {
  return { setting: SETTING, dir };
}

/**
 * Makes the agent's directory (0700), or checks the existing one. Throws ConfigError if it cannot be made, or other users have access: a
 * user who reaches the runner's socket runs commands as this user.
 */
export function prepareDirectory(dir: string): void {
  makeConfiguredDirectory(SETTING, dir, 0o700);
  const stat = statSync(dir);
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw new ConfigError(
      `${dir} belongs to another user (uid ${stat.uid}): run the agent as that user, or give it its own EXECPLANE_AGENT_DIR.`,
    );
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    throw new ConfigError(`${dir} is open to other users (mode ${mode}): close it with "chmod 0700 ${dir}".`);
  }
}
