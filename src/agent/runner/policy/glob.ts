/** Whether `text`, a path, matches: `*` is anything within a path segment, `**` anything at all, `?` one character. */
export function matchesPath(pattern: string, text: string): boolean {
  return matches(pattern, text, '/');
}

/** Whether `text`, which is not a path, matches: `*` is anything at all, `?` one character. */
export function matchesText(pattern: string, text: string): boolean {
  return matches(pattern, text, undefined);
}

/** A position for backtracking: the star in the pattern, and the first character that it does not cover yet. */
interface Star {
  part: number;
  at: number;
}

function matches(pattern: string, text: string, border: string | undefined): boolean {
  return new GlobMatch(pattern, text, border?.codePointAt(0)).run();
}

/**
 * Matches one pattern against one text. On a mismatch the last star covers one more character, and the last `**` does so once that star has
 * met a separator: at most pattern × text steps, without allocation. The text comes from the caller, and a regular expression with several
 * stars could run for hours on it.
 */
class GlobMatch {
  readonly #parts: readonly string[];
  readonly #characters: readonly (number | undefined)[];
  readonly #text: string;
  readonly #border: number | undefined;
  #part = 0;
  #at = 0;
  #star: Star | undefined;
  #anyStar: Star | undefined;

  constructor(pattern: string, text: string, border: number | undefined) {
    this.#parts = pattern.match(/\*\*|./gsu) ?? [];
    this.#characters = this.#parts.map((part) => part.codePointAt(0));
    this.#text = text;
    this.#border = border;
  }

  run(): boolean {
    while (this.#at < this.#text.length || this.#part < this.#parts.length) {
      if (!this.#passStar() && !this.#passCharacter() && !this.#goBack()) return false;
    }
    return true;
  }

  /** A star covers nothing at first. */
  #passStar(): boolean {
    const part = this.#parts[this.#part];
    if (part !== '*' && part !== '**') return false;
    const star = { part: this.#part, at: this.#at };
    if (part === '**' || this.#border === undefined) [this.#anyStar, this.#star] = [star, undefined];
    else this.#star = star;
    this.#part++;
    return true;
  }

  #passCharacter(): boolean {
    const character = this.#text.codePointAt(this.#at);
    if (character === undefined) return false;
    const fits = this.#characters[this.#part] === character;
    if (!fits && (this.#parts[this.#part] !== '?' || character === this.#border)) return false;
    this.#part++;
    this.#at += widthOf(character);
    return true;
  }

  #goBack(): boolean {
    if (this.#star !== undefined && !this.#grow(this.#star, this.#border)) this.#star = undefined;
    const anyStar = this.#star === undefined && this.#anyStar !== undefined && this.#grow(this.#anyStar, undefined);
    const back = this.#star ?? (anyStar ? this.#anyStar : undefined);
    if (back === undefined) return false;
    this.#part = back.part + 1;
    this.#at = back.at;
    return true;
  }

  /** Makes the star cover one character more. False at the end of the text, or before a separator. */
  #grow(star: Star, border: number | undefined): boolean {
    const next = this.#text.codePointAt(star.at);
    if (next === undefined || next === border) return false;
    star.at += widthOf(next);
    return true;
  }
}

/** Returns the width of a character in units of the text's encoding (UTF-16). */
function widthOf(character: number): number {
  return character > 0xffff ? 2 : 1;
}
