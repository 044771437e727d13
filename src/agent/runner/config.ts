import { parseArgs } from 'node:util';
import { type HostUser, hostUser } from './executions/host-user.ts';

export interface RunnerConfig {
  directory: string;
  hostUser: HostUser;
  /** ms without a link and without commands, after which the runner leaves. */
  idleMs?: number;
}

/** Reads the runner's arguments and environment: the one place that does. Throws TypeError on what it does not know. */
export function readConfig(args: string[]): RunnerConfig {
  const { values } = parseArgs({ args, options: { dir: { type: 'string' }, 'idle-ms': { type: 'string' } } });
  if (values.dir === undefined) throw new TypeError('--dir DIR is missing');
  const idleMs = values['idle-ms'];
  return {
    directory: values.dir,
    hostUser: hostUser(process.env),
    ...(idleMs !== undefined && { idleMs: Number(idleMs) }),
  };
}
