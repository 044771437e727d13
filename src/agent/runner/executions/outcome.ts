import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import type { EndedPayload } from '../../../core/report.ts';
import type { SpawnStage, Usage } from '../spawner/spawner.ts';
import type { StreamName } from './output.ts';

/** The part of `ended` that describes the end. */
export type Ending = Omit<
  EndedPayload,
  'stdout_bytes' | 'stderr_bytes' | 'stdout_truncated' | 'stderr_truncated' | 'usage'
>;

/** The reason why the runner ends a command. The first reason counts. */
export type Cause = 'cancelled' | 'timeout' | 'stopped' | 'forgotten';

export interface Exit {
  exitCode?: number;
  signal?: number;
  /** The kernel killed the command, or a process of it, because memory ran out. */
  outOfMemory?: boolean;
}

/** Returns a failure without an exit. */
export function failure(errorCode: NonNullable<Ending['error_code']>, errorMessage: string, exitCode?: number): Ending {
  const code = exitCode === undefined ? {} : { exit_code: exitCode };
  return { status: 'failed', ...code, error_code: errorCode, error_message: errorMessage };
}

/** Returns the end of a command that exited, if it did, after `cause`. */
export function exitEnding(exit: Exit, cause: Cause | undefined): Ending {
  const exitFields = {
    ...(exit.exitCode !== undefined && { exit_code: exit.exitCode }),
    ...(exit.signal !== undefined && { signal: exit.signal }),
  };
  const failed = (error_code: NonNullable<Ending['error_code']>, error_message: string): Ending => ({
    status: 'failed',
    ...exitFields,
    error_code,
    error_message,
  });
  if (cause === 'cancelled')
    return {
      status: 'cancelled',
      ...exitFields,
      error_code: 'cancelled',
      error_message: 'The execution was cancelled.',
    };
  if (cause === 'stopped') return failed('agent_stopped', STOPPED);
  // After SIGKILL there is no exit code. With one, the command has ended before its timeout.
  if (cause === 'timeout' && exit.exitCode === undefined)
    return failed('timeout', 'The command ran longer than its timeout_ms and was killed.');
  if (exit.exitCode === 0) return { status: 'succeeded', exit_code: 0 };
  if (exit.signal === undefined) return failed('nonzero_exit', `The command exited with code ${exit.exitCode}.`);
  if (exit.outOfMemory) return failed('oom_killed', 'The command was killed because it reached its memory limit.');
  return failed('signaled', `The command was ended by ${signalName(exit.signal)}.`);
}

/** Returns the end of a command for which a requested file is missing: a success becomes a failure. */
export function missingArtifact(ending: Ending, path: string): Ending {
  if (ending.status !== 'succeeded') return ending;
  return { ...ending, status: 'failed', error_code: 'artifact_missing', error_message: `No file matches ${path}.` };
}

/** Returns the end of an execution that was cancelled, stopped or timed out before it ran. */
export function unstartedEnding(cause: Cause): Ending {
  if (cause === 'stopped') return failure('agent_stopped', STOPPED);
  if (cause === 'timeout') return failure('timeout', 'The command did not start within its timeout_ms.');
  return {
    status: 'cancelled',
    error_code: 'cancelled',
    error_message: 'The execution was cancelled before it started.',
  };
}

/** Returns the end of an execution that the policy refuses. */
export function policyDenied(rule: string): Ending {
  return failure('policy_denied', `The machine's policy refuses the command: ${rule}.`);
}

/** Returns the end of a command that SIGKILL does not end. `survivors` names its processes. */
export function killFailedEnding(survivors: readonly string[]): Ending {
  const processes = survivors.length === 0 ? 'one of its processes' : survivors.join(', ');
  return failure('kill_failed', `The command could not be ended: ${processes} may still run on the machine.`);
}

const LIMITS_UNSUPPORTED =
  'The agent of this machine cannot limit commands: it needs cgroup v2 with the controllers memory, cpu and pids delegated to it.';
const OUT_OF_TERMINALS =
  'The machine has no free pseudo-terminal (ENOSPC): close terminals, or raise kernel.pty.max on the machine.';
const STOPPED = 'The agent was stopped on the machine, and it ended the command.';

/** Bytes of each stream, for `ended`: `counted` are those that the spawner counted, `kept` those reported. */
export function countFields(
  counted: Record<StreamName, number>,
  kept: Record<StreamName, number>,
): Omit<EndedPayload, keyof Ending | 'usage'> {
  const stdout = Math.max(counted.stdout, kept.stdout);
  const stderr = Math.max(counted.stderr, kept.stderr);
  return {
    stdout_bytes: stdout,
    stderr_bytes: stderr,
    stdout_truncated: stdout > kept.stdout,
    stderr_truncated: stderr > kept.stderr,
  };
}

/** Resource usage of the command, for `ended`. */
export function usageFields(usage: Usage | undefined): Pick<EndedPayload, 'usage'> {
  if (usage === undefined) return {};
  const { cpuUserMs, cpuSystemMs, maxMemoryBytes, ioReadBytes, ioWriteBytes } = usage;
  return {
    usage: {
      cpu_user_ms: cpuUserMs,
      cpu_system_ms: cpuSystemMs,
      max_memory_bytes: maxMemoryBytes,
      ...(ioReadBytes !== undefined && { io_read_bytes: ioReadBytes }),
      ...(ioWriteBytes !== undefined && { io_write_bytes: ioWriteBytes }),
    },
  };
}

/** Returns the end of a command that could not be spawned. `command`, `cwd`: as passed to the spawner. */
export function spawnEnding(
  stage: SpawnStage,
  errno: string,
  attempt: { command: string; cwd: string; user?: string; onTerminal?: boolean },
): Ending {
  if (errno === 'EMFILE' || errno === 'ENFILE') return failure('spawn_failed', outOfFiles(errno));
  if (stage === 'fork' && attempt.onTerminal && errno === 'ENOSPC') return failure('spawn_failed', OUT_OF_TERMINALS);
  const words = errnoWords(errno);
  if (stage === 'cwd') {
    if (errno === 'EACCES') return failure('permission_denied', `The working directory ${attempt.cwd}: ${words}.`, 126);
    return failure('cwd_not_found', `The working directory ${attempt.cwd}: ${words}.`);
  }
  if (stage === 'identity')
    return failure('permission_denied', `Becoming the user ${attempt.user ?? ''} failed: ${words}.`, 126);
  if (errno === 'E2BIG') return failure('argument_list_too_long', 'The arguments and the environment are too long.');
  if (stage === 'limits') return failure('limits_unsupported', LIMITS_UNSUPPORTED);
  if (stage === 'terminal')
    return failure('terminal_unsupported', 'The agent of this machine cannot give commands a terminal.');
  if (stage === 'interpreter')
    return failure('command_not_found', `${attempt.command}: its interpreter was not found.`, 127);
  if (stage === 'exec' && errno === 'ENOENT')
    return failure('command_not_found', `${attempt.command}: command not found.`, 127);
  if (stage === 'exec' && errno === 'EACCES') return failure('permission_denied', `${attempt.command}: ${words}.`, 126);
  return failure('spawn_failed', `${attempt.command}: ${words} (${errno}).`);
}

function outOfFiles(errno: 'EMFILE' | 'ENFILE'): string {
  const remedy = errno === 'EMFILE' ? 'raise the limit of open files (nofile) of the agent' : 'raise fs.file-max';
  return `The agent of this machine cannot open more files (${errno}): ${remedy}, or run fewer commands at once.`;
}

/** Returns the number of a signal by its name, as `SIGHUP` or `HUP`. Undefined if there is none of that name. */
export function signalNumber(name: string): number | undefined {
  const signals: Record<string, number> = constants.signals;
  return signals[name.startsWith('SIG') ? name : `SIG${name}`];
}

function signalName(number: number): string {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name === undefined ? `signal ${number}` : `signal ${number} (${name})`;
}

function errnoWords(errno: string): string {
  const numbers: Record<string, number> = constants.errno;
  const number = numbers[errno];
  return number === undefined ? errno : getSystemErrorMessage(-number);
}
