import { statfsSync, statSync } from 'node:fs';
import { type Finding, fail, judgeSpace, ok } from '../../core/finding.ts';
import { readCredential } from '../link/enrolment/credential.ts';

const OTHERS = 0o077;

/** The state directory: there, closed to others, with a credential and room for what commands print. */
export function examineDirectory(dir: string): Finding[] {
  const stat = statSync(dir, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory()) {
    const cure = 'Say where it is (--agent-dir, EXECPLANE_AGENT_DIR), or start the agent once: it makes the directory.';
    return [fail('agent directory', `${dir} is no directory`, cure)];
  }
  const { bavail, bsize } = statfsSync(dir);
  return [
    modeOf(dir, stat.mode),
    credential(dir),
    judgeSpace(bavail * bsize, 'Make room: output that the server does not have yet is kept here, 1 GiB at most.'),
  ];
}

function modeOf(dir: string, mode: number): Finding {
  if ((mode & OTHERS) === 0) return ok('agent directory', dir);
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  const cure = `Close it: chmod 0700 ${dir}. Whoever reaches the runner's socket runs commands as the agent's user.`;
  return fail('agent directory', `${dir} is open to other users (mode ${shown})`, cure);
}

function credential(dir: string): Finding {
  const enrol = 'Make a join token (execplane tokens create) and start the agent with it.';
  try {
    const found = readCredential(dir);
    return found === undefined
      ? fail('credential', 'this machine has not joined', enrol)
      : ok('credential', `of ${found.machineId}`);
  } catch (error) {
    const cure = `Run doctor as root, or as the agent's user. You did? ${enrol}`;
    return fail('credential', (error as Error).message, cure);
  }
}
