/** What other machines wrote, made harmless for a terminal. */

/** Control characters: C0, DEL and C1, which drive a terminal, and those that turn the direction of text around. */
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** What text consists of: a tab, a line break, and the return with which progress bars begin their line anew. */
const LAYOUT = new Set(['\t', '\n', '\r']);

/** Text for one line of a table. */
export function printable(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** A stream of bytes as text for a terminal; line breaks and tabs stay. */
export class PrintableStream {
  readonly #decoder = new TextDecoder();

  push(bytes: Uint8Array): Uint8Array {
    const text = this.#decoder.decode(bytes, { stream: true });
    return Buffer.from(text.replace(CONTROLS, (control) => (LAYOUT.has(control) ? control : escaped(control))));
  }
}

function escaped(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
