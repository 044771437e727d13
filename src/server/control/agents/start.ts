/** The `start` frame of a dispatched execution, and the cancel that may have to follow it. */
import type { Start } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';
import type { AgentSession } from './sessions.ts';

export interface StartSettings {
  /** Bytes of each stream to keep. */
  maxOutputBytes: number;
  /** ms between SIGTERM and SIGKILL. */
  graceMs: number;
}

/** Sends the start, and behind it a cancel where somebody asked for one before it could go out. */
export function sendStart(
  session: AgentSession,
  execution: Execution,
  input: SecretInput,
  settings: StartSettings,
): void {
  const { executionId } = execution;
  const fixed = execution.stdinMode === 'fixed' && input.stdin.length > 0;
  session.connection.send(
    startFrame(session.runnerInstance, execution, input, settings),
    fixed ? input.stdin : undefined,
  );
  if (session.cancels.delete(executionId)) {
    session.connection.send({ type: 'cancel', execution_id: executionId, grace_ms: settings.graceMs });
  }
}

function startFrame(runnerInstance: string, execution: Execution, input: SecretInput, settings: StartSettings): Start {
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
