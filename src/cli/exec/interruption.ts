import { isHangupIgnored } from '../hangup.ts';
import { isWriteBlocked, printError } from '../streams/output.ts';

/** 128 plus the number of the signal, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Interrupting = keyof typeof EXIT_CODES;

/** A terminal and npm in between both pass a Ctrl-C on: what comes within this time is the same one. */
const SAME_MS = 500;

/** What signals do to `exec`: the first cancels the command, whose end is then waited for; the next one leaves at once. */
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

  /** From now on there is something to cancel; what was interrupted before is cancelled now. */
  arm(cancel: () => Promise<unknown>): void {
    this.#cancel = cancel;
    if (this.exitCode !== undefined) this.#start();
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

  /** A write that blocks would hold up an orderly exit: then the signal itself ends this process. */
  #leave(signal: NodeJS.Signals, code: number): void {
    if (!isWriteBlocked()) process.exit(code);
    this.dispose();
    process.kill(process.pid, signal);
  }

  #start(): void {
    this.#cancel?.().catch((error: Error) => {
      printError(`execplane: the command could not be cancelled: ${error.message}\n`);
      process.exit(this.exitCode);
    });
  }
}
