import { parseArgs } from 'node:util';
import { type HostUser, hostUser } from './executions/host-user.ts';

export interface RunnerConfig {
  directory: string;
  hostUser: HostUser;
  /** No command runs without a policy.json. */
  policyRequired: boolean;
  /** The soft limit of open files that commands get. Absent: that of this process. */
  softFileLimit?: number;
  logLevel: string;
  /** ms without a link and without commands, after which the runner leaves. */
  idleMs?: number;
}

/** Reads the runner's arguments and environment; only this function does. Throws TypeError on an unknown argument. */
export function readConfig(args: string[]): RunnerConfig {
  const text = { type: 'string' } as const;
  const options = { dir: text, 'idle-ms': text, 'policy-required': { type: 'boolean' }, nofile: text } as const;
  const { values } = parseArgs({ args, options });
  if (values.dir === undefined) throw new TypeError('--dir DIR is missing');
  const idleMs = values['idle-ms'];
  return {
    directory: values.dir,
    hostUser: hostUser(process.env),
    logLevel: process.env['EXECPLANE_LOG_LEVEL'] || 'info',
    policyRequired: values['policy-required'] === true,
    ...(values.nofile !== undefined && { softFileLimit: Number(values.nofile) }),
    ...(idleMs !== undefined && { idleMs: Number(idleMs) }),
  };
}
