import { describe, expect, test } from 'vitest';
import { segmentsOf, stateAfter, withoutAnsi } from '../../../src/console/output/ansi.ts';
import { columnsOf, rowsOf } from '../../../src/console/output/columns.ts';
import { OutputLog, type Stream } from '../../../src/console/output/output-log.ts';
import { RowLayout } from '../../../src/console/output/row-layout.ts';
import { TextSearch } from '../../../src/console/output/text-search.ts';

const ESC = '\u001b';

function logOf(...chunks: readonly (readonly [Stream, string | Uint8Array])[]): OutputLog {
  const log = new OutputLog();
  for (const [stream, chunk] of chunks) {
    log.append(stream, typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
  }
  return log;
}

function linesOf(log: OutputLog): string[] {
  return Array.from({ length: log.length }, (_, line) => `${log.stream(line)}: ${log.text(line)}`);
}

describe('lines', () => {
  test('are the same if chunks end anywhere, even in the middle of a character', () => {
    const bytes = new TextEncoder().encode('grün\nrot');
    expect(linesOf(logOf(['stdout', bytes.subarray(0, 3)], ['stdout', bytes.subarray(3)]))).toEqual([
      'stdout: grün',
      'stdout: rot',
    ]);
  });

  test('of one stream are not broken by the other', () => {
    const log = logOf(['stdout', 'half'], ['stderr', 'warning\n'], ['stdout', ' and half\n'], ['stderr', 'next']);
    expect(linesOf(log)).toEqual(['stdout: half and half', 'stderr: warning', 'stderr: next']);
  });

  test('do not begin at a newline that ends a chunk', () => {
    expect(logOf(['stdout', 'a\n'], ['stdout', '\n']).length).toBe(2);
  });

  test('show half a character at the end as broken', () => {
    const log = logOf(['stdout', Uint8Array.of(0x61, 0xc3)]);
    log.end();
    expect(linesOf(log)).toEqual(['stdout: a\ufffd']);
  });

  test('that are too long are cut into pieces that together are the line', () => {
    const log = logOf(['stdout', 'x'.repeat(9000)], ['stdout', 'y\nz']);
    expect(linesOf(log).map((line) => line.length)).toEqual([4008, 4008, 1009, 9]);
  });

  test('lose the text before a carriage return, except in CRLF', () => {
    expect(linesOf(logOf(['stdout', '10%\r50%\r100%\r\nwindows\r\n']))).toEqual(['stdout: 100%', 'stdout: windows']);
  });

  test('are reported as changed from a line on, once', () => {
    const log = logOf(['stdout', 'a\nb\nc']);
    expect(log.takeChangedFrom()).toBe(0);
    log.append('stdout', new TextEncoder().encode('more\nd'));
    expect(log.takeChangedFrom()).toBe(2);
    expect(log.takeChangedFrom()).toBe(4);
  });

  test('can be a million, and are laid out', () => {
    const log = logOf(['stdout', 'line\n'.repeat(1_000_000)]);
    expect(new RowLayout(log, { columns: 2 }).rows).toBe(2_000_000);
  });
});

describe('colours', () => {
  test('continue in the next line until they are reset', () => {
    const log = logOf(['stdout', `${ESC}[31;1mred\nstill\n${ESC}[0mplain\nplain`]);
    expect(log.state(1)).toEqual({ foreground: 1, bold: true });
    expect(log.state(3)).toEqual({});
  });

  test('are recognised piece by piece, for 8, 16, 256 and all colours', () => {
    const text = `a${ESC}[32mb${ESC}[97mc${ESC}[38;5;196md${ESC}[48;2;1;2;3me${ESC}[mf`;
    expect(segmentsOf(text, {})).toEqual([
      { text: 'a', state: {} },
      { text: 'b', state: { foreground: 2 } },
      { text: 'c', state: { foreground: 7 } },
      { text: 'd', state: { foreground: 'rgb(255 0 0)' } },
      { text: 'e', state: { foreground: 'rgb(255 0 0)', background: 'rgb(1 2 3)' } },
      { text: 'f', state: {} },
    ]);
  });

  test('other sequences are removed: cursor, title, links, incomplete ones', () => {
    const text = `${ESC}[2K${ESC}]0;title\u0007a${ESC}]8;;https://x${ESC}\\b${ESC}(Bc${ESC}[?25l`;
    expect(withoutAnsi(text)).toBe('abc');
    expect(stateAfter(`${ESC}[38;5`, {})).toEqual({});
  });
});

test('tabs fill to the next eighth column, wide characters take two columns, and combining ones none', () => {
  expect([columnsOf('abc'), columnsOf('a\tb'), columnsOf('日本'), columnsOf('e\u0301')]).toEqual([3, 9, 4, 1]);
});

test('a wide character is not split between two rows', () => {
  const rows = rowsOf([{ text: 'ab' }, { text: 'c日d' }, { text: '' }], 4);
  expect(rows).toEqual([[{ text: 'ab' }, { text: 'c' }], [{ text: '日d' }]]);
});

describe('rows', () => {
  const log = logOf(['stdout', '1234567890\n\n'], ['stderr', 'abc\n'], ['stdout', '12345']);

  test('a long line takes several rows, an empty one takes one', () => {
    const layout = new RowLayout(log, { columns: 4 });
    expect([0, 1, 2, 3].map((line) => layout.rowsOfLine(line))).toEqual([3, 1, 1, 2]);
    expect([0, 2, 3, 4, 5, 6].map((row) => layout.lineAt(row))).toEqual([0, 0, 1, 2, 3, 3]);
    expect(layout.widest).toBe(10);
  });

  test('a hidden stream takes no rows', () => {
    const layout = new RowLayout(log, { columns: Number.POSITIVE_INFINITY, only: 'stderr' });
    expect([layout.rows, layout.lineAt(0), layout.top(2)]).toEqual([1, 2, 0]);
  });

  test('added lines are laid out at the end, from the line that changed', () => {
    const growing = logOf(['stdout', 'ab']);
    const layout = new RowLayout(growing, { columns: 2 });
    growing.takeChangedFrom();
    growing.append('stdout', new TextEncoder().encode('cd\nef'));
    layout.update(growing.takeChangedFrom());
    expect([layout.rows, layout.top(1)]).toEqual([3, 2]);
  });
});

describe('search', () => {
  test('finds lines in either case, in one stream or both, and later lines', () => {
    const log = logOf(['stdout', 'An Error\nfine\n'], ['stderr', `${ESC}[31mERR${ESC}[0mOR\n`]);
    const search = new TextSearch('error');
    expect(search.advance(log, 1000, () => 0)).toBe(false);
    expect(search.lines).toEqual([0, 2]);
    log.append('stdout', new TextEncoder().encode('error again'));
    search.advance(log, 1000, () => 0);
    expect(search.lines).toEqual([0, 2, 3]);
    const only = new TextSearch('error', 'stderr');
    only.advance(log, 1000, () => 0);
    expect(only.lines).toEqual([2]);
  });

  test('stops when its time is over, and continues from there', () => {
    const log = logOf(['stdout', 'x\n'.repeat(10_000)]);
    const search = new TextSearch('x');
    let now = 0;
    const clock = () => {
      now += 10;
      return now;
    };
    expect(search.advance(log, 5, clock)).toBe(true);
    expect(search.lines.length).toBeLessThan(10_000);
    expect(search.advance(log, 1000, () => 0)).toBe(false);
    expect(search.lines).toHaveLength(10_000);
  });
});
