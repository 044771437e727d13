/** A command that prints the numbers from 1 until the test stops it, so that the expected output is known exactly. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineClient } from './client.ts';

export interface Counting {
  executionId: string;
  /** Ends the command. `stdout`: its output on the server; `printed`: the output that the command wrote. */
  stop: () => Promise<{ stdout: string; printed: string }>;
}

/** Starts the command on the machine, with a new file in `dir` to stop it, and waits for its first output. */
export async function startCounting(machine: MachineClient, dir: string): Promise<Counting> {
  const flag = join(dir, `enough-${process.hrtime.bigint()}`);
  const loop = `i=0; while [ ! -e "${flag}" ]; do i=$((i+1)); echo "$i"; sleep 0.005; done; echo "$i" > "${flag}.last"`;
  const { execution_id: executionId } = await machine.create({ command: ['sh', '-c', loop] });
  await machine.printed(executionId, '2\n');
  return {
    executionId,
    async stop() {
      writeFileSync(flag, '');
      const { status } = await machine.ended(executionId);
      if (status !== 'succeeded') throw new Error(`it ended as ${status}`);
      const last = Number(readFileSync(`${flag}.last`, 'utf8'));
      const { stdout } = await machine.output(executionId);
      return { stdout, printed: Array.from({ length: last }, (_, n) => `${n + 1}\n`).join('') };
    },
  };
}
