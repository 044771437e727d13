/** The floor of everything that starts commands: the least that anybody in Node can do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const COMMAND = '/bin/true';

/** Starts the command and sees it end. */
export async function spawned(): Promise<void> {
  const [code] = await once(spawn(COMMAND, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`exited with ${code}`);
}
