/** Ends an agent and its commands, from the agent itself (SIGINT) or from another process (`execplane agent stop`). */
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity, processIdentity } from '../../node/process-identity.ts';
import { findRunner } from '../runner/runner-lock.ts';
import type { RunnerSocket } from '../runner-socket/runner-socket.ts';
import { becomeOwnerOf } from '../../node/files/directory-owner.ts';
import { stateDirectory } from './state-directory.ts';
import { findLink } from './link-pid-file.ts';
import { attachPatiently } from './runner-process.ts';

/** Between SIGTERM and SIGKILL of the commands. */
const STOP_GRACE_MS = 5_000;
/** Covers the grace, the last output and its acknowledgement. A runner that needs longer is killed, and its commands with it. */
const STOP_TIMEOUT_MS = 30_000;
const LINK_STOP_TIMEOUT_MS = STOP_TIMEOUT_MS + 10_000;
const GONE_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 20;

/** Makes the runner end all commands, and waits for the end of its process. Does not reject. */
export async function stopRunner(runner: RunnerSocket, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  const process = processIdentity(runner.pid);
  if (!runner.closed) {
    const closed = new Promise<void>((resolve) => runner.once('close', () => resolve()));
    runner.send({ type: 'stop', grace_ms: STOP_GRACE_MS });
    const timer = setTimeout(() => kill(process, 'SIGKILL'), timeoutMs);
    await closed;
    clearTimeout(timer);
  }
  await goneWithin(process, GONE_TIMEOUT_MS);
}

/** The processes that `execplane agent stop` found. */
export type StopResult = 'stopped' | 'nothing_runs';

/**
 * Ends the agent of `dir`, link and runner, and settles when both have ended. Throws if one of them does not end. If this process is root, it
 * becomes the owner of the directory first, because the files there must not be trusted as root.
 */
export async function stopAgent(dir: string): Promise<StopResult> {
  becomeOwnerOf(stateDirectory(dir));
  const link = findLink(dir)?.pid;
  if (link !== undefined) {
    const process = processIdentity(link);
    kill(process, 'SIGINT');
    if (!(await goneWithin(process, LINK_STOP_TIMEOUT_MS))) {
      throw new Error(`the agent (pid ${link}) does not stop: look at its log, or end it with "kill -9 ${link}".`);
    }
  }
  const runner = await attachPatiently({ dir, maxConcurrency: 1 });
  if (runner !== undefined) {
    await stopRunner(runner);
    return 'stopped';
  }
  const silent = findRunner(dir);
  if (silent !== undefined) {
    throw new Error(
      `the runner (pid ${silent}) does not answer on its socket, so its commands cannot be ended in order: end it and them with "kill -9 ${silent}".`,
    );
  }
  return link === undefined ? 'nothing_runs' : 'stopped';
}

/** Sends the signal, and SIGKILL after `timeoutMs`. Settles when the process has ended. Does not reject. */
export async function endProcess(pid: number, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  const process = processIdentity(pid);
  kill(process, signal);
  if (await goneWithin(process, timeoutMs)) return;
  kill(process, 'SIGKILL');
  await goneWithin(process, GONE_TIMEOUT_MS);
}

async function goneWithin(process: ProcessIdentity | undefined, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (process !== undefined && isAlive(process)) {
    if (performance.now() > until) return false;
    await delay(POLL_INTERVAL_MS);
  }
  return true;
}

/** Signals the process with this pid and start time, if it is still there. */
function kill(target: ProcessIdentity | undefined, signal: NodeJS.Signals): void {
  if (target === undefined || !isAlive(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch {
    // The process has ended.
  }
}
