import { isatty } from 'node:tty';
import { PrintableStream } from './printable.ts';
import { type OutputName, writeOutput } from './output.ts';

/** Prints output of commands: byte for byte to files and pipes, without control characters to a terminal. */
export class OutputPrinter {
  readonly #terminals: Partial<Record<OutputName, PrintableStream>>;

  constructor() {
    this.#terminals = {
      ...(isatty(1) ? { stdout: new PrintableStream() } : {}),
      ...(isatty(2) ? { stderr: new PrintableStream() } : {}),
    };
  }

  isTerminal(name: OutputName): boolean {
    return this.#terminals[name] !== undefined;
  }

  /** Settles when the bytes are written. Throws ReaderGoneError, OutputError. */
  write(name: OutputName, bytes: Uint8Array): Promise<void> {
    return writeOutput(name, this.#terminals[name]?.push(bytes) ?? bytes);
  }
}
