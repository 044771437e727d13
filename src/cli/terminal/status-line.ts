import type { OutageListener } from '../../client/main.ts';
import { failureOf } from './failure.ts';
import { terminalStream } from '../streams/descriptor.ts';

/** Prints messages beside the output of a command: on stderr, and only if it is a terminal. */
export class StatusLine {
  readonly #stream: Pick<NodeJS.WriteStream, 'write' | 'columns'> | undefined;
  #shown = false;
  /** A message must not continue a line that the command has not ended. */
  #atLineStart = true;

  /** `terminal`: undefined if stderr is not a terminal. */
  constructor(terminal: Pick<NodeJS.WriteStream, 'write' | 'columns'> | undefined = terminalStream('stderr')) {
    this.#stream = terminal;
  }

  get active(): boolean {
    return this.#stream !== undefined;
  }

  /** Shows a line that the next one replaces. */
  show(text: string): void {
    if (this.#stream === undefined || !this.#atLineStart) return;
    this.#stream.write(`\r${text.slice(0, Math.max(0, (this.#stream.columns || 80) - 1))}\u001b[K`);
    this.#shown = true;
  }

  /** Removes the shown line. */
  clear(): void {
    if (this.#shown) this.#stream?.write('\r\u001b[K');
    this.#shown = false;
  }

  /** Prints a message that stays. */
  say(text: string): void {
    if (this.#stream === undefined) return;
    this.clear();
    // With the carriage returns that a terminal in raw mode does not add.
    this.#stream.write(`${this.#atLineStart ? '' : '\r\n'}execplane: ${text}\r\n`);
    this.#atLineStart = true;
  }

  /** The command has written to a terminal. */
  wrote(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#atLineStart = bytes.at(-1) === 0x0a;
  }
}

/** Reports the server's absence on that line. */
export function outageOn(line: StatusLine): OutageListener {
  return {
    away: (reason) => line.say(`${failureOf(reason).message} The command keeps running; waiting for the server`),
    back: () => line.say('the server is back: no output was lost'),
  };
}
