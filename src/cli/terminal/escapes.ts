/** Escapes typed at a remote terminal, as in ssh: a tilde at the start of a line, and one more character. */

export type Escape = 'close' | 'detach' | 'help';

const TILDE = 0x7e;
const LINE_ENDS = new Set([0x0a, 0x0d]);
const ESCAPES: ReadonlyMap<number, Escape> = new Map([
  [0x2e, 'close'],
  [0x64, 'detach'],
  [0x3f, 'help'],
]);

/** Divides typed text into input and escapes, in order. */
export class EscapeReader {
  #atLineStart = true;
  /** A tilde was typed that may begin an escape. */
  #tilde = false;

  read(typed: Uint8Array): (Uint8Array | Escape)[] {
    const items: (Uint8Array | Escape)[] = [];
    let input: number[] = [];
    for (const byte of typed) {
      const typedEscape = this.#tilde ? ESCAPES.get(byte) : undefined;
      if (typedEscape !== undefined) {
        if (input.length > 0) items.push(Uint8Array.from(input));
        input = [];
        items.push(typedEscape);
        this.#tilde = false;
      } else if (byte === TILDE && this.#atLineStart && !this.#tilde) {
        this.#tilde = true;
      } else {
        // Two tildes send one.
        if (this.#tilde && byte !== TILDE) input.push(TILDE);
        input.push(byte);
        this.#tilde = false;
        this.#atLineStart = LINE_ENDS.has(byte);
      }
    }
    if (input.length > 0) items.push(Uint8Array.from(input));
    return items;
  }
}
