import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Finding, fail, ok, warn } from '../../node/finding.ts';
import { findLink } from '../processes/link-pid-file.ts';
import { AGENT_SUBGROUP, cgroupOf, type CgroupPlace } from '../runner/spawner/cgroup-place.ts';
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
      : [ok('runner', `pid ${runner}`), examineCgroups(runner, cgroupOf(runner))]),
  ];
}

/** `place`: that of the runner. */
export function examineCgroups(runner: number, place: CgroupPlace | undefined): Finding {
  const remedy =
    'Delegate a cgroup to the agent (Delegate=yes in a systemd unit). Until then the agent searches /proc for processes that leave their tree.';
  if (place === undefined) return warn('cgroups', 'this machine has no cgroup v2', remedy);
  try {
    const parents = parentsOf(place.directory);
    // systemd removes an empty pool when it restarts the agent's unit, and the next command makes it again, with the parent's controllers.
    const measured = poolOf(parents, runner) ?? parents.find(mayHavePool);
    if (measured === undefined) return warn('cgroups', `the runner may not make cgroups in ${place.path}`, remedy);
    const controllers = readFileSync(join(measured, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
    const limited = ['memory', 'cpu', 'pids'].every((name) => controllers.includes(name));
    return ok(
      'cgroups',
      `each command runs in a cgroup of its own${limited ? ', with limits if it asks for them' : ''}`,
    );
  } catch (error) {
    return warn('cgroups', (error as Error).message, remedy);
  }
}

/** Returns the cgroups in which that of the commands may be: beside the agent's own, if that is a subgroup of its unit, or in it. */
function parentsOf(directory: string): string[] {
  return basename(directory) === AGENT_SUBGROUP ? [dirname(directory), directory] : [directory];
}

/** Returns the cgroup that has those of the commands, from the first of these that has one. */
function poolOf(parents: readonly string[], runner: number): string | undefined {
  const paths = parents.flatMap((parent) => readdirSync(parent).map((name) => join(parent, name)));
  return paths.find((path) => basename(path).startsWith(`execplane-${runner}-`));
}

/** Whether the runner can make the cgroup of the commands in this one. */
function mayHavePool(parent: string): boolean {
  try {
    accessSync(parent, constants.W_OK);
    return existsSync(join(parent, 'cgroup.kill'));
  } catch {
    return false;
  }
}
