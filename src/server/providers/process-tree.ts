/** Kills a hook with all its processes: its process group, and those that left the group, found by a variable that all inherit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasVariable, processIds } from '../../node/process-table.ts';

const MAX_ROUNDS = 50;
const ROUND_MS = 20;

/** Kills the process group of `leader`, and all other processes with this variable. */
export async function killTree(leader: number, variable: string): Promise<void> {
  kill(-leader);
  await killAll(variable);
}

/** Sends SIGKILL to all processes with this variable until none is left. Gives up if processes start faster than they are found. */
export async function killAll(variable: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const left = processIds().filter((pid) => hasVariable(pid, variable) === true);
    if (left.length === 0) return;
    left.forEach(kill);
    await sleep(ROUND_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has exited.
  }
}
