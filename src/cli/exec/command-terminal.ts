/** Connects the terminal of this process to that of the command (`exec -t`). */
import { type ExecutionHandle, StdinClosedError } from '../../client/main.ts';
import { type Escape, EscapeReader } from '../terminal/escapes.ts';
import { failureOf } from '../terminal/failure.ts';
import { RawTerminal, terminalSize } from '../terminal/raw-terminal.ts';
import { TerminalSizes } from './terminal-sizes.ts';

/** Bytes of unsent input above which stdin is not read. */
const MAX_WAITING_BYTES = 64 * 1024;

const HELP = `At the start of a line:
  ~.  cancels the command
  ~~  sends a tilde
  ~?  shows this help`;

export interface CommandTerminalOptions {
  handle: ExecutionHandle;
  /** The size that the command was started with. */
  size: { width: number; height: number };
  /** Called when the user typed `~.`. */
  left: () => void;
  /** Called when input could not be sent. */
  failed: (cause: unknown) => void;
}

/** Raw mode and typed input, from the start of the command until `dispose`. */
export class CommandTerminal {
  readonly #options: CommandTerminalOptions;
  readonly #terminal: RawTerminal;
  readonly #sizes: TerminalSizes;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #escapes = new EscapeReader();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sending = false;

  constructor(options: CommandTerminalOptions) {
    this.#options = options;
    this.#writer = options.handle.stdin.getWriter();
    this.#sizes = new TerminalSizes(options.handle);
    this.#terminal = new RawTerminal((size) => this.#sizes.set(size));
    const size = terminalSize();
    if (size.width !== options.size.width || size.height !== options.size.height) this.#sizes.set(size);
    process.stdin.on('data', this.#typed);
  }

  dispose(): void {
    process.stdin.off('data', this.#typed).pause();
    this.#writer.abort().catch(() => {});
    this.#sizes.dispose();
    this.#terminal.dispose();
  }

  /** Reads output that is printed. */
  follow(bytes: Uint8Array): void {
    this.#terminal.follow(bytes);
  }

  /** Reports an outage of the server. */
  away(reason: Error): void {
    this.#terminal.say(`${failureOf(reason).message} The command keeps running; ~. cancels it`);
  }

  back(): void {
    if (this.#terminal.isFullScreen) this.#terminal.redraw();
    else this.#terminal.say('the server is back: no output was lost');
  }

  readonly #typed = (bytes: Buffer): void => {
    for (const item of this.#escapes.read(bytes)) {
      if (typeof item === 'string') this.#obey(item);
      else {
        this.#waiting.push(item);
        this.#waitingBytes += item.length;
      }
    }
    if (this.#waitingBytes > MAX_WAITING_BYTES) process.stdin.pause();
    this.#send().catch((cause: unknown) => {
      // A command need not read its input.
      if (!(cause instanceof StdinClosedError)) this.#options.failed(cause);
    });
  };

  /** Sends waiting input in one piece. Escapes take effect while input is being sent. */
  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waitingBytes > 0) {
      const bytes = Buffer.concat(this.#waiting.splice(0));
      this.#waitingBytes = 0;
      await this.#writer.write(bytes);
      process.stdin.resume();
    }
    this.#sending = false;
  }

  #obey(order: Escape): void {
    if (order === 'help') this.#terminal.say(HELP);
    else if (order === 'close') this.#options.left();
    else this.#terminal.say('only execplane shell can be left with ~d and come back to; ~. cancels the command');
  }
}
