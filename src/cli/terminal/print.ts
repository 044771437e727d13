import { styleText } from 'node:util';
import { wantsColour } from '../config.ts';
import { print, printError } from '../streams/output.ts';
import { printable } from '../streams/printable.ts';

export interface Column<T> {
  title: string;
  value: (row: T) => string | number | undefined;
}

/** Prints one JSON document, on one line, for programs. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value)}\n`);
}

/** Prints rows for people: aligned columns under their titles, or `none` if there are no rows. */
export function printTable<T>(rows: readonly T[], columns: readonly Column<T>[], none: string): void {
  if (rows.length === 0) {
    printError(`${none}\n`);
    return;
  }
  const cells = rows.map((row) => columns.map(({ value }) => printable(String(value(row) ?? '-'))));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((row) => (row[at] ?? '').length)));
  const colour = wantsColour();
  const line = (row: readonly string[], paint: (padded: string, cell: string) => string) =>
    `${row.map((cell, at) => paint(cell.padEnd(at === row.length - 1 ? 0 : (widths[at] ?? 0)), cell)).join('  ')}\n`;
  const titles = columns.map(({ title }) => title);
  let text = line(titles, (padded) => (colour ? styleText('bold', padded) : padded));
  for (const row of cells) text += line(row, (padded, cell) => (colour ? painted(padded, cell) : padded));
  print(text);
}

/** Prints the fields of an object as `name  value` lines. Absent fields are left out. */
export function printFields(fields: object): void {
  const shown = Object.entries(fields).filter(([, value]) => value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    print(`${name.padEnd(width)}  ${printable(text)}\n`);
  }
}

/** Quotes an argv for a shell. */
export function shellWords(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

const COLOURS: Record<string, 'green' | 'red' | 'yellow' | 'cyan'> = {
  succeeded: 'green',
  running: 'cyan',
  failed: 'red',
  cancelled: 'yellow',
  expired: 'yellow',
  online: 'green',
  offline: 'yellow',
};

function painted(padded: string, cell: string): string {
  const colour = COLOURS[cell];
  return colour === undefined ? padded : styleText(colour, padded, { validateStream: false });
}
