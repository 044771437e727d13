import { isatty } from 'node:tty';
import { isHangupIgnored } from '../hangup.ts';
import { isWriteBlocked, printError } from '../streams/output.ts';

/** 128 plus the number of the signal, as in shells. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Interrupting = keyof typeof EXIT_CODES;

/** Time within which signals count as one, ms: a terminal and npm both send a Ctrl-C. */
const SAME_MS = 500;

/** Handles signals to `exec`: the first one cancels the command and waits for its end; the next one exits immediately. */
export class Interruption {
  /** Set by the first signal. */
  exitCode: number | undefined;
  #since = 0;
  #cancel: (() => Promise<unknown>) | undefined;
  readonly #signals: readonly Interrupting[];

  constructor() {
    this.#signals = isHangupIgnored() ? ['SIGINT', 'SIGTERM'] : ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of this.#signals) process.on(signal, this.#interrupted);
  }

  /** Sets the action of a signal. After an earlier signal it is called now. */
  arm(cancel: () => Promise<unknown>): void {
    this.#cancel = cancel;
    if (this.exitCode !== undefined) this.#start();
  }

  /** Interrupts as Ctrl-C does. */
  interrupt(): void {
    this.#interrupted('SIGINT');
  }

  dispose(): void {
    for (const signal of this.#signals) process.off(signal, this.#interrupted);
  }

  readonly #interrupted = (signal: NodeJS.Signals): void => {
    const code = EXIT_CODES[signal as Interrupting];
    if (this.exitCode === undefined) {
      this.exitCode = code;
      this.#since = performance.now();
      this.#start();
    } else if (performance.now() - this.#since > SAME_MS) this.#leave(signal, code);
  };

  /** Exits. If a blocked write would delay that, the signal itself ends this process. */
  #leave(signal: NodeJS.Signals, code: number): void {
    if (!isWriteBlocked()) process.exit(code);
    this.dispose();
    if (isatty(0)) process.stdin.setRawMode(false);
    process.kill(process.pid, signal);
  }

  #start(): void {
    this.#cancel?.().catch((error: Error) => {
      printError(`execplane: the command could not be cancelled: ${error.message}\n`);
      process.exit(this.exitCode);
    });
  }
}
