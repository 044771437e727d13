import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Finding, fail, ok, warn } from '../../node/finding.ts';
import { findLink } from '../processes/link-pid-file.ts';
import { AGENT_SUBGROUP, cgroupOf } from '../runner/spawner/cgroup-place.ts';
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
    const pool = poolOf(place.directory, runner);
    if (pool === undefined) return warn('cgroups', `the runner may not make cgroups in ${place.path}`, remedy);
    const controllers = readFileSync(join(pool, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
    const limited = ['memory', 'cpu', 'pids'].every((name) => controllers.includes(name));
    return ok(
      'cgroups',
      `each command runs in a cgroup of its own${limited ? ', with limits if it asks for them' : ''}`,
    );
  } catch (error) {
    return warn('cgroups', (error as Error).message, remedy);
  }
}

/** Returns the directory of the cgroup that has those of the commands. It is beside the agent's own if that is a subgroup of its unit. */
function poolOf(directory: string, runner: number): string | undefined {
  const base = basename(directory) === AGENT_SUBGROUP ? dirname(directory) : directory;
  const paths = [base, directory].flatMap((parent) => readdirSync(parent).map((name) => join(parent, name)));
  return paths.find((path) => basename(path).startsWith(`execplane-${runner}-`));
}
