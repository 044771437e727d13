/** Describes an execution for people. */
import type { Execution } from '../../client/main.ts';

/** Returns its status; `waiting` while its machine is offline. */
export function statusWord({ status }: Pick<Execution, 'status'>): string {
  return status === 'wake_in_progress' ? 'waiting' : status;
}

/** Returns how it ended: `exit 3`, `signal 9`, else its error code. Empty before its end. */
export function resultWord(execution: Pick<Execution, 'exit_code' | 'signal' | 'error_code'>): string {
  if (execution.exit_code !== undefined) return `exit ${execution.exit_code}`;
  if (execution.signal !== undefined) return `signal ${execution.signal}`;
  return execution.error_code ?? '';
}
