/** The `start` frame of a dispatched execution. */
import type { Start } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';

export interface StartSettings {
  /** Bytes of each stream to keep. */
  maxOutputBytes: number;
  /** ms between SIGTERM and SIGKILL. */
  graceMs: number;
}

/** `runnerInstance`: the only one that may run it. */
export function startFrame(
  runnerInstance: string,
  execution: Execution,
  input: SecretInput,
  settings: StartSettings,
): Start {
  const { cwd, user, timeoutMs } = execution;
  return {
    type: 'start',
    execution_id: execution.executionId,
    runner_instance: runnerInstance,
    dispatch_number: execution.dispatchNumber ?? 0,
    command: [...execution.command],
    ...(Object.keys(input.env).length > 0 && { env: input.env }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
    ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
    max_output_bytes: settings.maxOutputBytes,
    stdin: execution.stdinMode,
    grace_ms: settings.graceMs,
  };
}
