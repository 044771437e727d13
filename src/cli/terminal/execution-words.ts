/** An execution in the words that people use. */
import type { Execution } from '../../client/main.ts';

/** Its status; `waiting` while its machine is away. */
export function statusWord({ status }: Pick<Execution, 'status'>): string {
  return status === 'wake_in_progress' ? 'waiting' : status;
}

/** How it ended: `exit 3`, `signal 9`, else its error code; empty before its end. */
export function resultWord(execution: Pick<Execution, 'exit_code' | 'signal' | 'error_code'>): string {
  if (execution.exit_code !== undefined) return `exit ${execution.exit_code}`;
  if (execution.signal !== undefined) return `signal ${execution.signal}`;
  return execution.error_code ?? '';
}
