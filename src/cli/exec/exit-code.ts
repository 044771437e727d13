import type { ExecutionEvent } from '../../client/main.ts';
import { ReaderGoneError } from '../streams/output.ts';
import { tell } from '../terminal/failure.ts';

/** Exit code of `exec` if Execplane itself failed. */
export const EXECPLANE_FAILED = 125;
/** Exit code that a shell reports for a writer that SIGPIPE ended. */
const READER_GONE = 141;
const TIMED_OUT = 124;

type Ending = Pick<ExecutionEvent, 'status' | 'exit_code' | 'signal' | 'error_code'>;

/** Returns the exit code of `exec` for the end of its command: as in shells and timeout(1), 125 if Execplane failed. */
export function exitCodeOf({ status, exit_code: exitCode, signal, error_code: errorCode }: Ending): number {
  if (status === 'succeeded') return 0;
  switch (errorCode) {
    case 'execution_timed_out':
      return TIMED_OUT;
    case 'command_not_found':
      return 127;
    case 'permission_denied':
      return 126;
    case 'nonzero_exit':
      return exitCode ?? EXECPLANE_FAILED;
    case 'signaled':
    case 'oom_killed':
    case 'cancelled':
      return signal === undefined ? EXECPLANE_FAILED : 128 + signal;
    default:
      return EXECPLANE_FAILED;
  }
}

/** Whether the reason of the end must be printed, because the command's own output does not show it. */
export function needsExplaining({ error_code: errorCode }: Ending): boolean {
  return errorCode !== undefined && errorCode !== 'nonzero_exit';
}

/** Prints an error that ended `exec` or `shell`, and returns the exit code. `interrupted`: that of a signal, which takes precedence. */
export function failureExitCode(error: unknown, interrupted: number | undefined): number {
  if (error instanceof ReaderGoneError) return READER_GONE;
  if (!(error instanceof Error)) throw error;
  tell(error);
  return interrupted ?? EXECPLANE_FAILED;
}
