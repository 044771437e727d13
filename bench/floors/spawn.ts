/** The floor of benches that start commands: a bare `child_process.spawn`, the minimum for a program in Node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const COMMAND = '/bin/true';

/** Starts the command and waits for its end. */
export async function spawned(): Promise<void> {
  const [code] = await once(spawn(COMMAND, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`exited with ${code}`);
}
