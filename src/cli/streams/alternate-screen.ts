/** The alternate screen of a terminal, which full-screen programs such as vim, less and tmux use. */

const ESCAPE = '\u001b';
const SWITCH = new RegExp(`${ESCAPE}\\[\\?(?:1049|1047|47)([hl])`, 'g');
/** Length of the longest incomplete sequence at the end of a piece of output. */
const MAX_INCOMPLETE = `${ESCAPE}[?1049`.length;

/** Follows in the output whether the alternate screen is shown. */
export class AlternateScreen {
  isShown = false;
  #incomplete = '';

  read(bytes: Uint8Array): void {
    // Most output has no sequence at all.
    if (this.#incomplete === '' && !bytes.includes(0x1b)) return;
    const text = this.#incomplete + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    for (const [, action] of text.matchAll(SWITCH)) this.isShown = action === 'h';
    const end = text.slice(-MAX_INCOMPLETE);
    this.#incomplete = end.includes(ESCAPE) ? end.slice(end.lastIndexOf(ESCAPE)) : '';
  }
}

/** Returns a message for the last line of a screen of this size. The cursor stays where it is. */
export function onLastLine(message: string, { width, height }: { width: number; height: number }): string {
  const line = message.replaceAll('\n', ' ').slice(0, Math.max(0, width - 1));
  return `${ESCAPE}7${ESCAPE}[${height};1H${ESCAPE}[0;7m${line}${ESCAPE}[0m${ESCAPE}8`;
}

/** Shows the main screen again. */
export const LEAVE_ALTERNATE_SCREEN = `${ESCAPE}[?1049l`;
