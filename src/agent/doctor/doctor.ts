/** Implements `execplane doctor agent`: checks everything that the agent needs, from another process. Changes nothing. */
import type { Finding } from '../../node/finding.ts';
import type { AgentConfig } from '../config.ts';
import { becomeOwnerOf } from '../processes/directory-owner.ts';
import { examineDirectory } from './directory.ts';
import { examineProcesses } from './processes.ts';
import { examineServer } from './server.ts';
import { examineSpawner } from './spawner.ts';
import { type Credential, readCredential } from '../link/enrolment/credential.ts';

/**
 * Runs all checks; `now` in ms since the epoch. If this process is root, it becomes the owner of the directory for good, so that it has the
 * same access as the agent. Throws if the path of the directory contains a symbolic link.
 */
export async function examineAgent(config: AgentConfig, now: number): Promise<Finding[]> {
  becomeOwnerOf(config.dir);
  const directory = examineDirectory(config.dir);
  return [
    ...directory,
    ...(await examineServer(config, credentialOf(config.dir), now)),
    ...examineProcesses(config.dir),
    await examineSpawner(),
  ];
}

/** Reads the credential. Undefined also for a damaged file, which the check of the directory reports. */
function credentialOf(dir: string): Credential | undefined {
  try {
    return readCredential(dir);
  } catch {
    return undefined;
  }
}
