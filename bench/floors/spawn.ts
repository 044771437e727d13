/** The floor of benches that start commands: the least that any program in Node has to do for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const COMMAND = '/bin/true';

/** Starts the command and waits for its end. */
export async function spawned(): Promise<void> {
  const [code] = await once(spawn(COMMAND, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`exited with ${code}`);
}
