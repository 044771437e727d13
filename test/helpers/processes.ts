/** Child processes of tests, and functions to find, await and kill processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The time limit for reading output after the exit of a process, ms. A surviving child process can keep the output open. */
const LEFT_OPEN_MS = 1000;

export class Started {
  readonly child: ChildProcess;
  /** Settles when the process has exited and its output has been read. */
  readonly exited: Promise<Exit>;
  #stdout = '';
  #stderr = '';

  constructor(command: string, args: readonly string[], env: Record<string, string>, cwd?: string) {
    this.child = spawn(command, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }) as Exit);
    this.child.once('exit', () => {
      const streams = [this.child.stdout, this.child.stderr];
      const timer = setTimeout(() => streams.map((stream) => stream?.destroy()), LEFT_OPEN_MS);
      this.child.once('close', () => clearTimeout(timer));
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('it did not start');
    return this.child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends `signal` if the process is running, and SIGKILL if it has not exited after `killAfterMs`. Settles when it has exited. */
  async end(signal: NodeJS.Signals, killAfterMs = 20_000): Promise<Exit> {
    if (this.running) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), killAfterMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

/** Polls `condition` until it is true. Throws after `deadlineMs` with the text `what`. Only for events that cannot be awaited. */
export async function until(
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
  everyMs = 20,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end)
      throw new Error(`not within ${deadlineMs} ms: ${typeof what === 'string' ? what : what()}`);
    await delay(everyMs);
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Pids of running processes whose command line or environment contains `text` (NUL separates arguments and variables). */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && (has(pid, 'cmdline', text) || has(pid, 'environ', text)) && isAlive(pid));
}

function has(pid: number, file: 'cmdline' | 'environ', text: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/${file}`).includes(text);
  } catch {
    return false;
  }
}

/** Kills processes. All are stopped first, so that none can react to the death of another. Exited processes are ignored. */
export function killAll(pids: Iterable<number>): void {
  const all = new Set(pids);
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    for (const pid of all) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

/** The command line of the process `pid`. */
export function commandLine(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
  } catch {
    return `${pid} (gone)`;
  }
}
