/** Ending an agent and everything it runs: what SIGINT does in its process, and `execplane agent stop` from another one. */
import { setTimeout as delay } from 'node:timers/promises';
import { findLink, isAlive } from './link-pid-file.ts';
import { attachPatiently } from './runner-process.ts';
import type { RunnerSocket } from '../runner-socket/runner-socket.ts';

/** Between SIGTERM and SIGKILL of the commands. */
const STOP_GRACE_MS = 5_000;
/** Grace, the last output and its acknowledgement; a runner that needs longer is killed, and what it ran with it. */
const STOP_TIMEOUT_MS = 30_000;
const LINK_STOP_TIMEOUT_MS = STOP_TIMEOUT_MS + 10_000;
const GONE_TIMEOUT_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/** Tells the runner to end all it runs, and waits until its process is gone. Does not reject. */
export async function stopRunner(runner: RunnerSocket, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  if (!runner.closed) {
    const closed = new Promise<void>((resolve) => runner.once('close', () => resolve()));
    runner.send({ type: 'stop', grace_ms: STOP_GRACE_MS });
    const timer = setTimeout(() => kill(runner.pid, 'SIGKILL'), timeoutMs);
    await closed;
    clearTimeout(timer);
  }
  await goneWithin(runner.pid, GONE_TIMEOUT_MS);
}

/** What `execplane agent stop` found to do. */
export type StopResult = 'stopped' | 'nothing_runs';

/** Ends the agent of `dir`, link and runner, and settles when both are gone. Throws where the link does not leave. */
export async function stopAgent(dir: string): Promise<StopResult> {
  const link = findLink(dir)?.pid;
  if (link !== undefined) {
    process.kill(link, 'SIGINT');
    if (!(await goneWithin(link, LINK_STOP_TIMEOUT_MS))) {
      throw new Error(`the agent (pid ${link}) does not stop: look at its log, or end it with "kill -9 ${link}".`);
    }
  }
  const runner = await attachPatiently({ dir, maxConcurrency: 1 });
  if (runner === undefined) return link === undefined ? 'nothing_runs' : 'stopped';
  await stopRunner(runner);
  return 'stopped';
}

/** Sends the signal, SIGKILL after `timeoutMs`, and settles when the process is gone. Does not reject. */
export async function endProcess(pid: number, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  kill(pid, signal);
  if (await goneWithin(pid, timeoutMs)) return;
  kill(pid, 'SIGKILL');
  await goneWithin(pid, GONE_TIMEOUT_MS);
}

async function goneWithin(pid: number, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() > until) return false;
    await delay(LOOK_AGAIN_MS);
  }
  return true;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just left by itself.
  }
}
