import { readdirSync } from 'node:fs';
import { type Finding, fail, ok, warn } from '../../core/finding.ts';
import { findLink } from '../processes/link-pid-file.ts';
import { cgroupOf } from '../runner/spawner/cgroup-place.ts';
import { findRunner } from '../runner/runner-lock.ts';

/** The two processes of an agent, and whether the runner can keep each command in a control group of its own. */
export function examineProcesses(dir: string): Finding[] {
  const link = findLink(dir);
  const runner = findRunner(dir);
  if (link === undefined) {
    const message = `no link runs${runner === undefined ? '' : ', only the runner, and the commands that it owns'}`;
    return [fail('link', message, 'Start the agent; its log says why it ended: journalctl -u execplane-agent')];
  }
  return [
    link.linked
      ? ok('link', `pid ${link.pid}, version ${link.version}, connected`)
      : fail('link', `pid ${link.pid} is not connected`, 'Its log says why; it goes on trying by itself.'),
    ...(runner === undefined
      ? [fail('runner', 'none runs', 'Look into runner.log in the agent directory.')]
      : [ok('runner', `pid ${runner}`), cgroups(runner)]),
  ];
}

function cgroups(runner: number): Finding {
  const place = cgroupOf(runner);
  const remedy =
    'Give the agent its cgroup (Delegate=yes in a systemd unit); until then what escapes from a tree is searched for in /proc.';
  if (place === undefined) return warn('cgroups', 'there is no cgroup v2 here', remedy);
  try {
    const pool = readdirSync(place.directory).some((name) => name.startsWith(`execplane-${runner}-`));
    return pool
      ? ok('cgroups', 'each command has one of its own')
      : warn('cgroups', `the runner may make none in ${place.path}`, remedy);
  } catch (error) {
    return warn('cgroups', (error as Error).message, remedy);
  }
}
