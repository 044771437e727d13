/** How an execution ended, in the words of this library. */
import type { ExecutionWire } from '../api/execution.ts';
import { isTerminal, type TerminalStatus } from '../core/execution-status.ts';

/** The end of an execution. A command that fails is a result, not an error. */
export interface ExecutionResult {
  executionId: string;
  machineId: string;
  status: TerminalStatus;
  /** If the process exited by itself. */
  exitCode?: number;
  /** If a signal ended it: its number. */
  signal?: number;
  /** Why it ended otherwise than well, such as `nonzero_exit` or `agent_lost`. */
  errorCode?: NonNullable<ExecutionWire['error_code']>;
  errorMessage?: string;
}

/** A result, and what the command printed. */
export interface RunResult extends ExecutionResult {
  stdout: string;
  stderr: string;
  /** The server kept only a part of it. Use `start` for output of any size. */
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

/** `execution` has ended. */
export function resultOf(execution: ExecutionWire): ExecutionResult {
  return {
    executionId: execution.execution_id,
    machineId: execution.machine_id,
    status: execution.status as TerminalStatus,
    ...(execution.exit_code === undefined ? {} : { exitCode: execution.exit_code }),
    ...(execution.signal === undefined ? {} : { signal: execution.signal }),
    ...(execution.error_code === undefined ? {} : { errorCode: execution.error_code }),
    ...(execution.error_message === undefined ? {} : { errorMessage: execution.error_message }),
  };
}

/** Whether an execution, or one of its events, says that it has ended. */
export function hasEnded({ status }: { status?: ExecutionWire['status'] }): boolean {
  return status !== undefined && isTerminal(status);
}
