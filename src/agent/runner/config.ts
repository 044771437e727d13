import { parseArgs } from 'node:util';
import { type HostUser, hostUser } from './executions/host-user.ts';

export interface RunnerConfig {
  directory: string;
  hostUser: HostUser;
}

/** Reads the runner's arguments and environment: the one place that does. Throws TypeError on an argument it does not know. */
export function readConfig(args: string[]): RunnerConfig {
  const { values } = parseArgs({ args, options: { dir: { type: 'string' } } });
  if (values.dir === undefined) throw new TypeError('--dir DIR is missing');
  return { directory: values.dir, hostUser: hostUser(process.env) };
}
