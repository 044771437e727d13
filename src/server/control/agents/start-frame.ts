/** Frames about one execution: its start, and how far its output may go. */
import type { OutputLimit, Start } from '../../../core/protocol.ts';
import type { ArtifactLimits, Execution, OutputStore } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';

export interface StartSettings {
  /** Bytes of each stream to keep. */
  maxOutputBytes: number;
  /** Bytes of a stream that may wait to be read, in stream mode. */
  streamBufferBytes: number;
  /** ms between SIGTERM and SIGKILL. */
  graceMs: number;
  artifacts: ArtifactSettings;
}

export interface ArtifactSettings extends ArtifactLimits {
  /** For the collecting of those of one execution, ms. */
  timeoutMs: number;
}

/** `runnerInstance`: the only one that may run it. */
export function startFrame(
  runnerInstance: string,
  execution: Execution,
  input: SecretInput,
  settings: StartSettings,
): Start {
  const { cwd, user, timeoutMs, outputMode } = execution;
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
    max_output_bytes: outputMode === undefined ? settings.maxOutputBytes : settings.streamBufferBytes,
    ...(outputMode === 'stream' && { past_limit: 'wait' }),
    stdin: execution.stdinMode,
    grace_ms: settings.graceMs,
    artifacts: {
      declared: [...(execution.declaredArtifacts ?? [])],
      max_bytes: settings.artifacts.maxBytes,
      timeout_ms: settings.artifacts.timeoutMs,
    },
  };
}

/** How far the streams of an execution in stream mode may go: what was released makes room. */
export async function outputLimit(
  store: Pick<OutputStore, 'outputBounds'>,
  { executionId, outputMode }: Execution,
  { streamBufferBytes }: Pick<StartSettings, 'streamBufferBytes'>,
): Promise<OutputLimit> {
  const stdout = await store.outputBounds({ executionId, stream: 'stdout' });
  const stderr = await store.outputBounds({ executionId, stream: 'stderr' });
  return {
    type: 'output_limit',
    execution_id: executionId,
    stdout: stdout.start + streamBufferBytes,
    stderr: stderr.start + streamBufferBytes,
    past_limit: outputMode === 'stream' ? 'wait' : 'discard',
  };
}
