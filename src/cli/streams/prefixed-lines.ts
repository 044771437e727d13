import type { OutputName } from './output.ts';
import type { OutputPrinter } from './output-printer.ts';

/** Maximum length of a line, in bytes. A longer one is printed as several lines. */
const MAX_LINE_BYTES = 1_048_576;
const LINE_BREAK = 0x0a;

/** Prints the output of many machines on the same two streams, in whole lines with a prefix. */
export class PrefixedLines {
  readonly #printer: Pick<OutputPrinter, 'write'>;
  readonly #last: Record<OutputName, Promise<void>> = { stdout: Promise.resolve(), stderr: Promise.resolve() };

  constructor(printer: Pick<OutputPrinter, 'write'>) {
    this.#printer = printer;
  }

  /** The two streams of one machine. */
  of(prefix: string): PrefixedOutput {
    return new PrefixedOutput(prefix, (name, text) => this.#write(name, text));
  }

  /** Writes one after the other, because a full pipe may accept only a part of a write. */
  #write(name: OutputName, bytes: Uint8Array): Promise<void> {
    const written = this.#last[name].then(() => this.#printer.write(name, bytes));
    this.#last[name] = written.catch(() => {});
    return written;
  }
}

/** The output of one machine. */
class PrefixedOutput {
  readonly #prefix: Buffer;
  readonly #write: (name: OutputName, bytes: Uint8Array) => Promise<void>;
  /** The beginning of an unfinished line. */
  readonly #rest: Record<OutputName, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(prefix: string, write: (name: OutputName, bytes: Uint8Array) => Promise<void>) {
    this.#prefix = Buffer.from(prefix);
    this.#write = write;
  }

  /** Prints the lines that `bytes` complete. Throws ReaderGoneError, OutputError. */
  async push(name: OutputName, bytes: Uint8Array): Promise<void> {
    let text = Buffer.concat([this.#rest[name], bytes]);
    const lines: Buffer[] = [];
    for (let end = lineEnd(text); end !== undefined; end = lineEnd(text)) {
      lines.push(this.#prefix, text.subarray(0, end), ...(text[end - 1] === LINE_BREAK ? [] : [Buffer.from('\n')]));
      text = text.subarray(end);
    }
    this.#rest[name] = text;
    if (lines.length > 0) await this.#write(name, Buffer.concat(lines));
  }

  /** Prints the rest of each stream, and ends its line. */
  async end(): Promise<void> {
    for (const name of ['stdout', 'stderr'] as const) {
      if (this.#rest[name].length > 0) await this.push(name, Buffer.from('\n'));
    }
  }
}

/** Returns the index after the first line of the text. Undefined if that line is not complete. */
function lineEnd(text: Buffer): number | undefined {
  const at = text.indexOf(LINE_BREAK);
  if (at >= 0 && at < MAX_LINE_BYTES) return at + 1;
  return text.length > MAX_LINE_BYTES ? MAX_LINE_BYTES : undefined;
}
