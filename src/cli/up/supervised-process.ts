import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface SupervisedOptions {
  /** Its name in messages: "the agent". */
  name: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Written to its stdin at the first start only; stdin is then closed. */
  input?: string;
  onMessage?: (message: unknown) => void;
}

/** How it ended: by itself, or because it was stopped. */
interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** `execplane` itself, in the source or in the build. */
const ENTRY = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));
const RESTART_AFTER_MS = 1000;

/**
 * A process that `up` keeps running. It has a process group of its own, so that a terminal's Ctrl-C reaches it only through `stop`. If
 * `up` itself is killed, the closed IPC channel tells the process.
 */
export class SupervisedProcess {
  readonly #options: SupervisedOptions;
  readonly #say: (text: string) => void;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> = Promise.resolve({ code: 0, signal: null });
  /** Settles when the process will not be started again. */
  readonly done: Promise<Exit>;
  #isSettled = false;

  constructor(options: SupervisedOptions, say: (text: string) => void) {
    this.#options = options;
    this.#say = say;
    this.#spawn(options.input);
    this.done = this.#keep();
  }

  /** After this call, an unexpected exit leads to a new start. Before it, an exit is the end. */
  enableRestart(): void {
    this.#isSettled = true;
  }

  /** Sends the signal and waits for the end. Sends SIGKILL after `timeoutMs`. */
  async stop(signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const timer = setTimeout(() => {
      this.#say(`${this.#options.name} does not stop: killing it`);
      child.kill('SIGKILL');
    }, timeoutMs);
    await this.#exited;
    clearTimeout(timer);
  }

  async #keep(): Promise<Exit> {
    for (;;) {
      const exit = await this.#exited;
      if (this.#stopping.signal.aborted || exit.code === 0 || !this.#isSettled) return exit;
      this.#say(`${this.#options.name} ended (${exit.signal ?? `exit code ${exit.code}`}): starting it again`);
      await delay(RESTART_AFTER_MS, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return exit;
      this.#spawn(undefined);
    }
  }

  #spawn(input: string | undefined): void {
    const { args, env, onMessage } = this.#options;
    const child = fork(ENTRY, args, { env, detached: true, stdio: ['pipe', 'inherit', 'inherit', 'ipc'] });
    if (onMessage !== undefined) child.on('message', onMessage);
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', () => resolve({ code: 1, signal: null }));
    });
  }
}
