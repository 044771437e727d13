/** The floor of everything that starts commands: the minimum that any program in Node has to do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const COMMAND = '/bin/true';

/** Starts the command and waits for its end. */
export async function spawned(): Promise<void> {
  const [code] = await once(spawn(COMMAND, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`exited with ${code}`);
}
