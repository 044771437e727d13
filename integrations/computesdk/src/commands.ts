/** Runs commands of a sandbox, which are lines for a shell, and returns their output at the end or passes it on live. */
import type { CommandResult, RunCommandOptions } from '@computesdk/provider';
import type { ExecutionResult, StartOptions } from 'execplane/client';
import type { Sandbox } from './sandbox.ts';

/** The exit code of timeout(1) after a timeout. */
const TIMED_OUT = 124;
/** Added to the number of the signal that ended a command, as shells do. */
const SIGNALLED = 128;

type Options = Pick<StartOptions, 'env' | 'cwd' | 'timeoutMs' | 'user'>;

/** Runs a line of shell to its end; with `background` it returns when the command has been accepted. */
export async function runCommand(
  sandbox: Sandbox,
  command: string,
  options: RunCommandOptions = {},
): Promise<CommandResult> {
  const startedAt = performance.now();
  const argv = ['sh', '-c', command];
  if (options.background) {
    await sandbox.machine.start(argv, { ...optionsOf(sandbox, options), stdin: 'none' });
    return { stdout: '', stderr: '', exitCode: 0, durationMs: performance.now() - startedAt };
  }
  const { stdout, stderr, ...result } = await sandbox.machine.run(argv, optionsOf(sandbox, options));
  return { stdout, stderr, exitCode: exitCodeOf(result), durationMs: performance.now() - startedAt };
}

/** The same, and hands each piece of output over as it comes. */
export async function streamCommand(
  sandbox: Sandbox,
  command: string,
  options: RunCommandOptions,
): Promise<CommandResult> {
  const startedAt = performance.now();
  const how = { ...optionsOf(sandbox, options), stdin: 'none', output: 'stream' } as const;
  const handle = await sandbox.machine.start(['sh', '-c', command], how);
  const [stdout, stderr, result] = await Promise.all([
    passOn(handle.stdout, options.onStdout),
    passOn(handle.stderr, options.onStderr),
    handle.result,
  ]);
  return { stdout, stderr, exitCode: exitCodeOf(result), durationMs: performance.now() - startedAt };
}

function optionsOf({ env, directory, user }: Sandbox, options: RunCommandOptions): Options {
  const cwd = options.cwd ?? directory;
  return {
    env: { ...env, ...options.env },
    ...(cwd === undefined ? {} : { cwd }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(user === undefined ? {} : { user }),
  };
}

/** Returns the exit code as a shell reports it. Throws if Execplane failed, not the command. */
function exitCodeOf({ exitCode, signal, errorCode, errorMessage, status }: ExecutionResult): number {
  if (errorCode === 'execution_timed_out') return TIMED_OUT;
  if (exitCode !== undefined) return exitCode;
  if (signal !== undefined) return SIGNALLED + signal;
  throw new Error(errorMessage ?? `the command is ${status}`);
}

/** Passes each piece of a stream on as it arrives, and returns the whole text. */
async function passOn(
  stream: ReadableStream<Uint8Array>,
  listener: ((text: string) => void) | undefined,
): Promise<string> {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let all = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    const text = decoder.decode(next.value, { stream: true });
    if (text !== '') listener?.(text);
    all += text;
  }
  return all + decoder.decode();
}
