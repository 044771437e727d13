/** Ends a hook with all that it has started: its process group, and what left the group, by the variable that all inherit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasVariable, processIds } from '../../node/process-table.ts';

const MAX_ROUNDS = 50;
const ROUND_MS = 20;

/** Sends SIGKILL until none is left; what starts faster than it can be found is given up. */
export async function killTree(leader: number, variable: string): Promise<void> {
  kill(-leader);
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
    // It has gone by itself.
  }
}
