import { existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { statusOf } from '../../node/files/configured-directory.ts';
import { type Finding, fail, judgeSpace, ok } from '../../node/finding.ts';
import { PolicyFile } from '../runner/policy/policy-file.ts';
import { readCredential } from '../link/enrolment/credential.ts';

const OTHERS = 0o077;

/** Checks that the state directory exists, is closed to other users, has a credential, and that the disk has room for output. */
export function examineDirectory(dir: string): Finding[] {
  const stat = statusOf(dir);
  if (stat === undefined || !stat.isDirectory()) {
    const remedy = 'Name it with --agent-dir or EXECPLANE_AGENT_DIR, or start the agent once: the agent makes it.';
    return [fail('agent directory', `${dir} is not a directory`, remedy)];
  }
  const { bavail, bsize } = statfsSync(dir);
  return [
    modeOf(dir, stat.mode),
    credential(dir),
    policy(dir),
    judgeSpace(bavail * bsize, 'Free some space: the agent keeps output here until the server has it, at most 1 GiB.'),
  ];
}

function modeOf(dir: string, mode: number): Finding {
  if ((mode & OTHERS) === 0) return ok('agent directory', dir);
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  const remedy = `Run "chmod 0700 ${dir}": a user who reaches the runner's socket runs commands as the agent's user.`;
  return fail('agent directory', `${dir} is open to other users (mode ${shown})`, remedy);
}

function policy(dir: string): Finding {
  const path = join(dir, 'policy.json');
  const fault = new PolicyFile(path, { required: false }).fault();
  if (fault !== undefined)
    return fail('policy', fault, 'Correct it (docs/policy.md): until then no command is allowed.');
  return ok('policy', existsSync(path) ? path : 'no policy.json: every command is allowed');
}

function credential(dir: string): Finding {
  const enrol = 'Make a join token (execplane tokens create) and start the agent with it.';
  try {
    const found = readCredential(dir);
    return found === undefined
      ? fail('credential', 'this machine has not joined', enrol)
      : ok('credential', `of ${found.machineId}`);
  } catch (error) {
    const remedy = `Run doctor as root or as the agent's user. If you did: ${enrol}`;
    return fail('credential', (error as Error).message, remedy);
  }
}
