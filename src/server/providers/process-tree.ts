/** Kills a hook with all its processes: its process group, and those that left the group, found by a variable that all inherit. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasVariable, processIds } from '../../node/process-table.ts';

const MAX_ROUNDS = 50;
const ROUND_MS = 20;

/** Sends SIGKILL until no process is left. Gives up if processes start faster than they are found. */
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
    // The process has exited.
  }
}
