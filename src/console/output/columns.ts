/** Counts the terminal columns of a text. */
const TAB_COLUMNS = 8;
// biome-ignore lint/suspicious/noControlCharactersInRegex: everything that is one column, and no tab
const ONE_COLUMN_EACH = /^[\x00-\x08\x0a-\u02ff]*$/;
const COMBINING = /\p{Mark}/u;
/** Characters that take two columns: East Asian ones and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Returns the number of columns of a text in a terminal. */
export function columnsOf(text: string): number {
  if (ONE_COLUMN_EACH.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += widthAt(character, columns);
  return columns;
}

/** Splits text into rows of this many columns. */
export function rowsOf<Piece extends { text: string }>(pieces: readonly Piece[], columns: number): Piece[][] {
  const rows: Piece[][] = [[]];
  let column = 0;
  for (const piece of pieces) {
    let text = '';
    const finish = (): void => {
      if (text !== '') rows.at(-1)?.push({ ...piece, text });
      text = '';
    };
    for (const character of piece.text) {
      const width = widthAt(character, column);
      if (column + width > columns) {
        finish();
        rows.push([]);
        column = 0;
      }
      column += width;
      text += character;
    }
    finish();
  }
  return rows;
}

function widthAt(character: string, column: number): number {
  if (character === '\t') return TAB_COLUMNS - (column % TAB_COLUMNS);
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
