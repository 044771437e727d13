/** Implements `execplane doctor agent`: checks everything that the agent needs, from another process. Changes nothing. */
import { fail, type Finding } from '../../node/finding.ts';
import type { AgentConfig } from '../config.ts';
import { becomeOwnerOf } from '../../node/files/directory-owner.ts';
import { stateDirectory } from '../processes/state-directory.ts';
import { examineDirectory } from './directory.ts';
import { examineProcesses } from './processes.ts';
import { examineServer } from './server.ts';
import { examineSpawner } from './spawner.ts';
import { type Credential, readCredential } from '../link/enrolment/credential.ts';

/**
 * Runs all checks; `now` in ms since the epoch. If this process is root, it becomes the owner of the directory for good, so that it has the
 * same access as the agent.
 */
export async function examineAgent(config: AgentConfig, now: number): Promise<Finding[]> {
  const { dir } = config;
  const unusable = becomeOwner(dir);
  if (unusable !== undefined)
    return [unusable, ...(await examineServer(config, undefined, now)), await examineSpawner()];
  return [
    ...examineDirectory(dir),
    ...(await examineServer(config, credentialOf(dir), now)),
    ...examineProcesses(dir),
    await examineSpawner(),
  ];
}

/** Returns a finding if root cannot become the owner: `dir` is no directory, or its path leads over a symbolic link. */
function becomeOwner(dir: string): Finding | undefined {
  try {
    becomeOwnerOf(stateDirectory(dir));
    return undefined;
  } catch (error) {
    return fail('agent directory', (error as Error).message, 'Name it with --agent-dir or EXECPLANE_AGENT_DIR.');
  }
}

/** Reads the credential. Undefined also for a damaged file, which the check of the directory reports. */
function credentialOf(dir: string): Credential | undefined {
  try {
    return readCredential(dir);
  } catch {
    return undefined;
  }
}
