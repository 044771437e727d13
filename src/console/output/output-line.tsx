/** One line of output. */
import { type CSSProperties, memo } from 'react';
import { type AnsiSegment, type AnsiState, segmentsOf } from './ansi.ts';
import { rowsOf } from './columns.ts';
import type { OutputLog } from './output-log.ts';

interface OutputLineProps {
  log: OutputLog;
  line: number;
  /** Changes with the text. The log itself stays the same object. */
  text: string;
  top: number;
  height: number;
  /** The row, if the line takes several. */
  columns: number | undefined;
  numbered: boolean;
  /** Text to mark, in lower case. */
  needle: string;
  /** The selected match is on this line. */
  current: boolean;
}

/** Text that the browser breaks like the layout. Other characters may have other widths, so their rows are broken explicitly. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them
const ASCII = /^[\x00-\x7f]*$/;

export const OutputLine = memo(function OutputLine(props: OutputLineProps) {
  const { log, line, text, top, height, columns, numbered, needle, current } = props;
  const segments = segmentsOf(text, log.state(line));
  return (
    <div
      className={`output-line ${log.stream(line)}${columns === undefined ? '' : ' wrapped'}`}
      style={{ top, height }}
    >
      {numbered && (
        <span className="number" aria-hidden="true">
          {line + 1}
        </span>
      )}
      <span className="text">
        {columns === undefined || ASCII.test(text) ? (
          <Pieces segments={segments} needle={needle} current={current} />
        ) : (
          rowsOf(segments, columns).map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have nothing but their order
            <span key={index} className="row-text">
              <Pieces segments={row} needle={needle} current={current} />
            </span>
          ))
        )}
      </span>
    </div>
  );
});

function Pieces(props: { segments: readonly AnsiSegment[]; needle: string; current: boolean }) {
  return props.segments.map(({ text, state }, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a text have nothing but their order
    <span key={index} className={classOf(state)} style={styleOf(state)}>
      {marked(text, props.needle, props.current)}
    </span>
  ));
}

function classOf({ foreground, background, bold, dim, italic, underline }: AnsiState): string {
  const classes = [
    typeof foreground === 'number' && `ansi-fg-${foreground}`,
    typeof background === 'number' && `ansi-bg-${background}`,
    bold && 'ansi-bold',
    dim && 'ansi-dim',
    italic && 'ansi-italic',
    underline && 'ansi-underline',
  ];
  return classes.filter((name) => typeof name === 'string').join(' ');
}

function styleOf({ foreground, background }: AnsiState): CSSProperties {
  return {
    ...(typeof foreground === 'string' ? { color: foreground } : {}),
    ...(typeof background === 'string' ? { background } : {}),
  };
}

/** A match that continues in the next piece is found, but not marked. */
function marked(text: string, needle: string, current: boolean) {
  if (needle === '') return text;
  const lower = text.toLowerCase();
  const pieces = [];
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
    if (at > from) pieces.push(text.slice(from, at));
    from = at + needle.length;
    pieces.push(
      <mark key={at} className={current ? 'now' : ''}>
        {text.slice(at, from)}
      </mark>,
    );
  }
  return pieces.length === 0 ? text : [...pieces, text.slice(from)];
}
