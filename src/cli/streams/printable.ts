/** Removes the effect of control characters in text from other machines on a terminal. */

/** Control characters: C0, DEL and C1, which control a terminal, and those that change the direction of text. */
const CONTROLS = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** Control characters that text needs: tab, line break, and carriage return, with which progress bars restart their line. */
const LAYOUT = new Set(['\t', '\n', '\r']);

/** Returns text for one line of a table. */
export function printable(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** Turns a stream of bytes into text for a terminal. Line breaks and tabs stay. */
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
