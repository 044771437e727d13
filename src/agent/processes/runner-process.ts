import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { findRunner } from '../runner/runner-lock.ts';
import { AttachRefusedError, attachToRunner, type RunnerSocket } from '../runner-socket/runner-socket.ts';
import { LOG_KEY } from '../../node/log-keys.ts';
import { inheritedFileLimit } from './file-limit.ts';

export interface RunnerOptions {
  dir: string;
  maxConcurrency: number;
  /** Passed to a runner that is started: no command runs without a policy.json. */
  policyRequired?: boolean;
  /** The runner's whole environment. */
  env: Readonly<Record<string, string>>;
  /** The soft limit of open files that commands get. Absent: taken from the process that started this one. */
  softFileLimit?: number | undefined;
  log: Logger;
  /** For tests: started instead of the runner. */
  entry?: string;
}

type AttachOptions = Pick<RunnerOptions, 'dir' | 'maxConcurrency'>;

/** Beside this folder, both in the source and in the build. */
const RUNNER_ENTRY = fileURLToPath(new URL(`../runner/main${extname(import.meta.url)}`, import.meta.url));
const START_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 15;
/** Time within which a leaving runner has left and a starting one listens, ms. */
const LISTEN_TIMEOUT_MS = 3_000;
/** The signal that makes a runner listen again after its socket was removed. */
const LISTEN_ANEW = 'SIGHUP';
/** Time for which attaching is repeated after a refusal, ms: the runner may not yet have noticed the death of its last link. */
const REFUSED_TIMEOUT_MS = 2_000;
const MAX_LOG_BYTES = 1024 * 1024;

/** Attaches to the runner of the directory, and starts one if none runs. Throws AttachRefusedError, or the error of the start. */
export async function findOrStartRunner(options: RunnerOptions): Promise<RunnerSocket> {
  const found = await attachPatiently(options);
  if (found !== undefined) {
    options.log.info({ [LOG_KEY.runnerInstance]: found.instance, [LOG_KEY.runnerPid]: found.pid }, 'found the runner');
    return found;
  }
  const started = await startRunner(options);
  options.log.info(
    { [LOG_KEY.runnerInstance]: started.instance, [LOG_KEY.runnerPid]: started.pid },
    'started a runner',
  );
  return started;
}

/** Attaches to the runner of the directory. Undefined if none runs. Throws AttachRefusedError if another link holds it. */
export async function attachPatiently(options: AttachOptions): Promise<RunnerSocket | undefined> {
  const until = performance.now() + REFUSED_TIMEOUT_MS;
  for (;;) {
    try {
      return (await attach(options)) ?? (await attachAfterAlarm(options));
    } catch (error) {
      if (!(error instanceof AttachRefusedError)) throw error;
      if (performance.now() > until) throw new AttachRefusedError(refusal(options.dir, error), { cause: error });
    }
    await delay(100);
  }
}

/**
 * If a runner runs whose socket is gone (a cleaner of temporary files removes sockets too), signals it to listen again. Undefined if no
 * runner runs.
 */
async function attachAfterAlarm(options: AttachOptions): Promise<RunnerSocket | undefined> {
  const until = performance.now() + LISTEN_TIMEOUT_MS;
  for (;;) {
    const pid = findRunner(options.dir);
    if (pid === undefined || performance.now() > until) return undefined;
    signalRunner(pid);
    await delay(POLL_INTERVAL_MS);
    const runner = await attach(options);
    if (runner !== undefined) return runner;
  }
}

function signalRunner(pid: number): void {
  try {
    process.kill(pid, LISTEN_ANEW);
  } catch {
    // The runner has just left.
  }
}

function refusal(dir: string, { message }: Error): string {
  return `the runner of ${dir} refuses this agent (${message}): end the other one with "execplane agent stop", or choose another EXECPLANE_AGENT_DIR.`;
}

async function startRunner(options: RunnerOptions): Promise<RunnerSocket> {
  const logFile = join(options.dir, 'runner.log');
  const log = openLog(logFile);
  const child = spawn(process.execPath, [options.entry ?? RUNNER_ENTRY, ...runnerArguments(options)], {
    cwd: options.dir,
    env: options.env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const exit = exitOf(child);
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until && !exit.failed) {
    const runner = await attachPatiently(options);
    if (runner !== undefined) return runner;
    await delay(POLL_INTERVAL_MS);
  }
  throw new Error(
    `the runner did not start (${exit.reason ?? `no socket after ${START_TIMEOUT_MS / 1000} s`}); read ${logFile}`,
  );
}

function runnerArguments({ dir, policyRequired, softFileLimit = inheritedFileLimit() }: RunnerOptions): string[] {
  const policy = policyRequired === true ? ['--policy-required'] : [];
  const files = softFileLimit === undefined ? [] : ['--nofile', String(softFileLimit)];
  return ['--dir', dir, ...policy, ...files];
}

/** Records the exit of a runner. One that yields to another runner exits with 0; then the other one answers. */
function exitOf(child: ChildProcess): { failed: boolean; reason?: string } {
  const exit: { failed: boolean; reason?: string } = { failed: false };
  child.once('error', (error) => {
    exit.failed = true;
    exit.reason = error.message;
  });
  child.once('exit', (code, signal) => {
    exit.failed = code !== 0;
    exit.reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
  });
  return exit;
}

function attach({ dir, maxConcurrency }: AttachOptions): Promise<RunnerSocket | undefined> {
  return attachToRunner(dir, { type: 'attach', channel: 1, max_concurrency: maxConcurrency });
}

/** Opens the runner's log file, which is limited to about a mebibyte. */
function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return openSync(path, size > MAX_LOG_BYTES ? 'w' : 'a', 0o600);
}
