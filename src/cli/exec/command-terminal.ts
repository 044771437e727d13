/** `exec -t`: the terminal of this process becomes that of the command. */
import { type ExecutionHandle, StdinClosedError } from '../../client/main.ts';
import { type Escape, EscapeReader } from '../terminal/escapes.ts';
import { RawTerminal, terminalSize } from '../terminal/raw-terminal.ts';

/** Input that may wait to be sent, in bytes: with more, stdin is not read. */
const MAX_WAITING_BYTES = 64 * 1024;

const HELP = `At the start of a line:
  ~.  cancels the command
  ~~  sends a tilde
  ~?  shows this help`;

export interface CommandTerminalOptions {
  handle: ExecutionHandle;
  /** The size that the command was started with. */
  size: { width: number; height: number };
  /** The user typed `~.`. */
  left: () => void;
  /** Input could not be sent. */
  failed: (cause: unknown) => void;
}

/** Raw mode and typed input, from the start of the command until `dispose`. */
export class CommandTerminal {
  readonly #options: CommandTerminalOptions;
  readonly #terminal: RawTerminal;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #escapes = new EscapeReader();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sending = false;

  constructor(options: CommandTerminalOptions) {
    this.#options = options;
    this.#writer = options.handle.stdin.getWriter();
    // A size that does not arrive is replaced by the next one.
    const resize = (size: CommandTerminalOptions['size']): void => void options.handle.resize(size).catch(() => {});
    this.#terminal = new RawTerminal(resize);
    const size = terminalSize();
    if (size.width !== options.size.width || size.height !== options.size.height) resize(size);
    process.stdin.on('data', this.#typed);
  }

  dispose(): void {
    process.stdin.off('data', this.#typed).pause();
    this.#writer.abort().catch(() => {});
    this.#terminal.dispose();
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
      // It does not matter if a command does not read its input.
      if (!(cause instanceof StdinClosedError)) this.#options.failed(cause);
    });
  };

  /** Escapes take effect while input is on its way: input typed meanwhile is sent in one piece. */
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
