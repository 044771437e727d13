import type { Execplane, MachineClient } from 'execplane/client';

/** A sandbox: a machine, and the environment, directory and user of its commands. */
export interface Sandbox {
  client: Execplane;
  machine: MachineClient;
  /** Environment of every command, under the one of the command itself. */
  env: Record<string, string>;
  /** Working directory of commands that name none; undefined: the home of the user. */
  directory: string | undefined;
  /** Commands run as this user; undefined: the default of the machine. */
  user: string | undefined;
}
