/** 128 plus the number of the signal, as shells have it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Interrupting = keyof typeof EXIT_CODES;
const SIGNALS = Object.keys(EXIT_CODES) as Interrupting[];

/** A terminal and npm in between both pass a Ctrl-C on: what comes within this time is the same one. */
const SAME_MS = 500;

/** What signals do to `exec`: the first cancels the command, whose end is then waited for; the next one leaves at once. */
export class Interruption {
  /** Set by the first signal. */
  exitCode: number | undefined;
  #since = 0;
  #cancel: (() => Promise<unknown>) | undefined;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#interrupted);
  }

  /** From now on there is something to cancel; what was interrupted before is cancelled now. */
  arm(cancel: () => Promise<unknown>): void {
    this.#cancel = cancel;
    if (this.exitCode !== undefined) this.#start();
  }

  dispose(): void {
    for (const signal of SIGNALS) process.off(signal, this.#interrupted);
  }

  readonly #interrupted = (signal: NodeJS.Signals): void => {
    const code = EXIT_CODES[signal as Interrupting];
    if (this.exitCode === undefined) {
      this.exitCode = code;
      this.#since = performance.now();
      this.#start();
    } else if (performance.now() - this.#since > SAME_MS) process.exit(code);
  };

  #start(): void {
    this.#cancel?.().catch((error: Error) => {
      process.stderr.write(`execplane: the command could not be cancelled: ${error.message}\n`);
      process.exit(this.exitCode);
    });
  }
}
