/** The statuses of an execution and the error codes of its end: plain values, also for clients in a browser. */

/** Statuses in the order in which an execution can pass through them. The last four are ends. */
export const EXECUTION_STATUSES = [
  'wake_in_progress',
  'queued',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];
export type TerminalStatus = 'succeeded' | 'failed' | 'cancelled' | 'expired';

/** Reasons of an end other than success (contract §2): the `error_code` of an Execution. */
export const FAILURE_CODES = [
  'nonzero_exit',
  'signaled',
  'execution_timed_out',
  'command_not_found',
  'permission_denied',
  'cwd_not_found',
  'argument_list_too_long',
  'spawn_failed',
  'policy_denied',
  'agent_lost',
  'user_not_found',
  'agent_stopped',
  'artifact_missing',
  'machine_removed',
  'wake_failed',
  'cancelled',
  'start_timed_out',
  'kill_failed',
  'oom_killed',
  'limits_unsupported',
  'terminal_unsupported',
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

/** Whether `status` is an end. */
export function isTerminal(status: ExecutionStatus): status is TerminalStatus {
  return status === 'succeeded' || status === 'failed' || status === 'cancelled' || status === 'expired';
}
