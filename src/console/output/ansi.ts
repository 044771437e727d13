/** Parses colours and weights in ANSI escape sequences. Sequences that move the cursor are dropped. */
const ESC = String.fromCharCode(27);
const BEL = String.fromCharCode(7);
/** CSI, OSC and two-character sequences. */
const SEQUENCE = new RegExp(
  `${ESC}(?:\\[([0-9;:?<=>]*)[ -/]*([@-~])|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)?|[ -/]*[0-Z\\\\^-~])`,
  'g',
);
/** The part of a line that was not overwritten after a carriage return. */
const OVERWRITTEN = /^.*\r(?!$)/s;

/** The style of text from here on. A colour is one of the 8 of the theme, or any in CSS syntax. */
export interface AnsiState {
  foreground?: number | string;
  background?: number | string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
}

export interface AnsiSegment {
  text: string;
  state: AnsiState;
}

export const PLAIN: AnsiState = {};

/** Returns the text as a terminal would leave it on its line, still with its sequences. */
export function overwritten(text: string): string {
  const line = text.endsWith('\r') ? text.slice(0, -1) : text;
  return line.includes('\r') ? line.replace(OVERWRITTEN, '') : line;
}

/** Returns the text without ANSI sequences. */
export function withoutAnsi(text: string): string {
  return text.includes(ESC) ? text.replace(SEQUENCE, '') : text;
}

/** Returns the state after `text`. */
export function stateAfter(text: string, before: AnsiState): AnsiState {
  if (!text.includes(ESC)) return before;
  let state = before;
  for (const [, parameters, final] of text.matchAll(SEQUENCE)) {
    if (final === 'm') state = afterSgr(parameters ?? '', state);
  }
  return state;
}

/** Returns the text in pieces of one style each. */
export function segmentsOf(text: string, before: AnsiState): AnsiSegment[] {
  if (!text.includes(ESC)) return text === '' ? [] : [{ text, state: before }];
  const segments: AnsiSegment[] = [];
  let state = before;
  let from = 0;
  for (const match of text.matchAll(SEQUENCE)) {
    if (match.index > from) segments.push({ text: text.slice(from, match.index), state });
    if (match[2] === 'm') state = afterSgr(match[1] ?? '', state);
    from = match.index + match[0].length;
  }
  if (from < text.length) segments.push({ text: text.slice(from), state });
  return segments;
}

function afterSgr(parameters: string, before: AnsiState): AnsiState {
  const codes = parameters.split(/[;:]/).map(Number);
  let state: AnsiState = { ...before };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const { colour, used } = extendedColour(codes.slice(at + 1));
      if (colour !== undefined) state = { ...state, [code === 38 ? 'foreground' : 'background']: colour };
      at += used;
    } else {
      state = afterCode(code, state);
    }
  }
  return Object.keys(state).length === 0 ? PLAIN : state;
}

const TURNS_ON: Readonly<Record<number, AnsiState>> = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
};
const TURNS_OFF: Readonly<Record<number, readonly (keyof AnsiState)[]>> = {
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['underline'],
  39: ['foreground'],
  49: ['background'],
};

function afterCode(code: number, state: AnsiState): AnsiState {
  if (code === 0) return {};
  if (code in TURNS_ON) return { ...state, ...TURNS_ON[code] };
  if (code in TURNS_OFF) {
    const next = { ...state };
    for (const name of TURNS_OFF[code] ?? []) delete next[name];
    return next;
  }
  const ten = Math.floor(code / 10);
  const colour = code % 10;
  if (colour > 7) return state;
  if (ten === 3 || ten === 9) return { ...state, foreground: colour };
  if (ten === 4 || ten === 10) return { ...state, background: colour };
  return state;
}

/** Parses `5;N` of the 256 colours, or `2;R;G;B`. Returns the number of codes used. */
function extendedColour(codes: readonly number[]): { colour?: number | string; used: number } {
  const [kind, ...rest] = codes;
  if (kind === 2) return { colour: `rgb(${rest.slice(0, 3).map(byte).join(' ')})`, used: 4 };
  if (kind !== 5) return { used: 0 };
  const index = byte(rest[0]);
  if (index < 16) return { colour: index % 8, used: 2 };
  if (index >= 232) {
    const grey = (index - 232) * 10 + 8;
    return { colour: `rgb(${grey} ${grey} ${grey})`, used: 2 };
  }
  const cube = [Math.floor((index - 16) / 36), Math.floor((index - 16) / 6) % 6, (index - 16) % 6];
  return { colour: `rgb(${cube.map((level) => (level === 0 ? 0 : level * 40 + 55)).join(' ')})`, used: 2 };
}

function byte(value: number | undefined): number {
  return Math.min(Math.max(Math.trunc(value ?? 0) || 0, 0), 255);
}
