import { readdirSync } from 'node:fs';
import { type Finding, fail, ok, warn } from '../../node/finding.ts';
import { findLink } from '../processes/link-pid-file.ts';
import { cgroupOf } from '../runner/spawner/cgroup-place.ts';
import { findRunner } from '../runner/runner-lock.ts';

/** Checks the two processes of an agent, and whether the runner can give each command a cgroup of its own. */
export function examineProcesses(dir: string): Finding[] {
  const link = findLink(dir);
  const runner = findRunner(dir);
  if (link === undefined) {
    const message = `no link process runs${runner === undefined ? '' : ', only the runner with its commands'}`;
    return [fail('link', message, 'Start the agent. Its log says why it ended: journalctl -u execplane-agent')];
  }
  return [
    link.linked
      ? ok('link', `pid ${link.pid}, version ${link.version}, connected`)
      : fail('link', `pid ${link.pid} is not connected`, 'Its log says why. The agent keeps trying by itself.'),
    ...(runner === undefined
      ? [fail('runner', 'no runner runs', 'Read runner.log in the agent directory.')]
      : [ok('runner', `pid ${runner}`), cgroups(runner)]),
  ];
}

function cgroups(runner: number): Finding {
  const place = cgroupOf(runner);
  const remedy =
    'Delegate a cgroup to the agent (Delegate=yes in a systemd unit). Until then the agent searches /proc for processes that leave their tree.';
  if (place === undefined) return warn('cgroups', 'this machine has no cgroup v2', remedy);
  try {
    const pool = readdirSync(place.directory).some((name) => name.startsWith(`execplane-${runner}-`));
    return pool
      ? ok('cgroups', 'each command runs in a cgroup of its own')
      : warn('cgroups', `the runner may not make cgroups in ${place.path}`, remedy);
  } catch (error) {
    return warn('cgroups', (error as Error).message, remedy);
  }
}
