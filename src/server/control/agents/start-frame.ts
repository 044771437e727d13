/** Builds frames of the server: the welcome, the start of an execution, and its output limit. */
import type { Hello, OutputLimit, ServerFrame, Start, Stdin, Welcome } from '../../../core/protocol.ts';
import { MAX_CHUNK_BYTES } from '../../../core/report.ts';
import type { ArtifactLimits, Execution, OutputStore } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';
import { AGENT_LIMITS } from './connection/limits.ts';
import type { Reconciliation } from './reconcile.ts';
import type { Released, SessionDeps } from './session-deps.ts';

/** The error message of an execution whose sealed input cannot be read. */
export const UNREADABLE = 'The server cannot read the env and stdin that it sealed for this execution.';

export interface StartSettings {
  /** Bytes to keep of each stream. */
  maxOutputBytes: number;
  /** Unread bytes of a stream in stream mode, above which the command waits. */
  streamBufferBytes: number;
  /** ms between SIGTERM and SIGKILL. */
  graceMs: number;
  artifacts: ArtifactSettings;
}

export interface ArtifactSettings extends ArtifactLimits {
  /** Time limit for collecting the artifacts of one execution, ms. */
  timeoutMs: number;
}

/** Bytes kept of the end of each stream: the size of one report. */
const TAIL_BYTES = MAX_CHUNK_BYTES;
/** The number of bytes that a terminal may print ahead of its clients or, without clients, ahead of the stored output. */
export const TERMINAL_AHEAD_BYTES = 1024 * 1024;

type Feature = 'output_limit' | 'terminals' | 'usage' | 'stdin_writers';

/** The capability that an agent needs for a frame about a running command. */
const NEEDED_FEATURE = {
  signal: undefined,
  resize: 'terminals',
  usage_query: 'usage',
  output_limit: 'output_limit',
} as const;

type CommandFrame = Extract<ServerFrame, { type: keyof typeof NEEDED_FEATURE }>;

/** Whether the agent's version has the frame. */
export function knowsFrame(hello: Hello | undefined, frame: CommandFrame | Stdin): boolean {
  if (frame.type === 'stdin') return frame.writer === undefined || supports(hello, 'stdin_writers');
  const feature = NEEDED_FEATURE[frame.type];
  return feature === undefined || supports(hello, feature);
}

/** Whether the agent has the capability. */
function supports(hello: Hello | undefined, feature: Feature): boolean {
  return hello?.features?.includes(feature) ?? false;
}

/** The agent's version is too old for the execution. */
export class UnsupportedError extends Error {}

/** Throws UnsupportedError: an older agent would ignore the unknown field and run the command without it. */
function assertSupported(hello: Hello | undefined, { tty }: Execution): void {
  if (tty !== undefined && !supports(hello, 'terminals'))
    throw new UnsupportedError('The agent of the machine has a version without terminals.');
}

/** Builds the answer to a hello. */
export function welcomeFrame(
  protocol: number,
  plan: Pick<Reconciliation, 'acks' | 'forget'>,
  { version, heartbeatMs }: { version: string; heartbeatMs: number },
): Welcome {
  const { windowBytes, executionWindowBytes } = AGENT_LIMITS;
  return {
    type: 'welcome',
    protocol,
    version,
    heartbeat_ms: heartbeatMs,
    window_bytes: windowBytes,
    execution_window_bytes: executionWindowBytes,
    acks: plan.acks,
    forget: plan.forget,
  };
}

/** Builds the start of an execution, for the runner instance of the hello only. Throws UnsupportedError if the agent's version is too old. */
function startFrame(
  hello: Hello | undefined,
  execution: Execution,
  input: SecretInput,
  settings: StartSettings,
): Start {
  assertSupported(hello, execution);
  const env = execution.isTerminal ? { ...input.env, TERMINAL_ID: execution.executionId } : input.env;
  const { cwd, user, timeoutMs, outputMode, tty, limits, isTerminal } = execution;
  return {
    type: 'start',
    execution_id: execution.executionId,
    runner_instance: hello?.runner_instance ?? '',
    dispatch_number: execution.dispatchNumber ?? 0,
    command: isTerminal ? [execution.command[0] ?? ''] : [...execution.command],
    ...(isTerminal && { login_shell: true }),
    ...(Object.keys(env).length > 0 && { env }),
    ...(cwd !== undefined && { cwd }),
    ...(user !== undefined && { user }),
    ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
    max_output_bytes: outputMode === undefined ? settings.maxOutputBytes : bufferBytes(execution, settings),
    ...(outputMode === 'stream' && { past_limit: 'wait' }),
    ...(outputMode === undefined && { tail_bytes: TAIL_BYTES }),
    stdin: execution.stdinMode,
    ...(tty !== undefined && { tty }),
    ...(limits !== undefined && { limits }),
    grace_ms: settings.graceMs,
    artifacts: {
      declared: [...(execution.declaredArtifacts ?? [])],
      max_bytes: settings.artifacts.maxBytes,
      timeout_ms: settings.artifacts.timeoutMs,
    },
  };
}

/** Returns the limit of unread bytes of a stream. */
function bufferBytes(
  { isTerminal }: Execution,
  { streamBufferBytes }: Pick<StartSettings, 'streamBufferBytes'>,
): number {
  return isTerminal ? TERMINAL_AHEAD_BYTES : streamBufferBytes;
}

/**
 * Returns the output limits of an execution in stream mode. Released output raises them, except on a terminal (terminal-limits.ts). `known`:
 * released offsets; absent: as stored, or further if this server has passed them on from memory.
 */
export async function outputLimit(
  { store, relays, settings }: Pick<SessionDeps, 'store' | 'relays' | 'settings'>,
  execution: Execution,
  known?: Released,
): Promise<OutputLimit> {
  const { executionId, outputMode } = execution;
  const streamBufferBytes = bufferBytes(execution, settings);
  const released = known ?? further(await releasedOf(store, executionId), relays.get(executionId)?.released);
  return {
    type: 'output_limit',
    execution_id: executionId,
    stdout: (execution.isTerminal ? await printedOn(store, executionId) : released.stdout) + streamBufferBytes,
    stderr: released.stderr + streamBufferBytes,
    past_limit: outputMode === 'stream' ? 'wait' : 'discard',
  };
}

function further(stored: Released, inMemory: Released = stored): Released {
  return { stdout: Math.max(stored.stdout, inMemory.stdout), stderr: Math.max(stored.stderr, inMemory.stderr) };
}

/** Returns how much a terminal has printed, as stored. */
async function printedOn(store: Pick<OutputStore, 'outputBounds'>, executionId: string): Promise<number> {
  return (await store.outputBounds({ executionId, stream: 'stdout' })).end;
}

/** Returns how far both streams of an execution were released, as stored. */
export async function releasedOf(store: Pick<OutputStore, 'outputBounds'>, executionId: string): Promise<Released> {
  const stdout = await store.outputBounds({ executionId, stream: 'stdout' });
  const stderr = await store.outputBounds({ executionId, stream: 'stderr' });
  return { stdout: stdout.start, stderr: stderr.start };
}

/** Returns the message of a start: its frame, and the stdin that comes with it. Throws what `openInput` and `startFrame` throw. */
export function startMessage(
  hello: Hello | undefined,
  execution: Execution,
  openInput: () => SecretInput,
  settings: StartSettings,
): { start: Start; attachment: Buffer | undefined } {
  const input = openInput();
  const start = startFrame(hello, execution, input, settings);
  return { start, attachment: execution.stdinMode === 'fixed' && input.stdin.length > 0 ? input.stdin : undefined };
}
