/** Checks the process table for a command's main process between its exit and the report of it. */
import { processRow } from '../../../node/process-table.ts';

/** Whether the process, which only our spawner reaps, has exited by now. */
export function mainHasEnded(pid: number): boolean {
  return processRow(pid)?.ended ?? true;
}
