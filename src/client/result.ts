/** The result of an execution, in the terms of this library. */
import type { ExecutionWire } from '../api/execution.ts';
import { isTerminal, type TerminalStatus } from '../core/execution-status.ts';

/** The end of an execution. A command that fails is a result, not an error. */
export interface ExecutionResult {
  executionId: string;
  machineId: string;
  status: TerminalStatus;
  /** Set if the process exited by itself. */
  exitCode?: number;
  /** Set to the number of the signal if one ended it. */
  signal?: number;
  /** The reason for any other end than success, such as `nonzero_exit` or `agent_lost`. */
  errorCode?: NonNullable<ExecutionWire['error_code']>;
  errorMessage?: string;
}

/** A result and the output of the command. */
export interface RunResult extends ExecutionResult {
  stdout: string;
  stderr: string;
  /** The server kept only a part of the output. Use `start` for output of any size. */
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  /** The end of a truncated stream, none of which is in `stdout` or `stderr`. */
  stdoutTail?: string;
  stderrTail?: string;
}

/** Returns the result of `execution`, which has ended. */
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

/** Whether an execution, or one of its events, has reached its end. */
export function hasEnded({ status }: { status?: ExecutionWire['status'] }): boolean {
  return status !== undefined && isTerminal(status);
}
