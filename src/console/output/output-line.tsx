/** One line of output. */
import { type CSSProperties, memo } from 'react';
import { type AnsiState, segmentsOf } from './ansi.ts';
import type { OutputLog } from './output-log.ts';

interface OutputLineProps {
  log: OutputLog;
  line: number;
  /** Changes with the text; the log itself stays the same. */
  text: string;
  top: number;
  height: number;
  wrapped: boolean;
  numbered: boolean;
  /** Marked where it occurs, in lower case. */
  needle: string;
  /** The match that one has jumped to is on this line. */
  current: boolean;
}

export const OutputLine = memo(function OutputLine(props: OutputLineProps) {
  const { log, line, text, top, height, wrapped, numbered, needle, current } = props;
  return (
    <div className={`output-line ${log.stream(line)}${wrapped ? ' wrapped' : ''}`} style={{ top, height }}>
      {numbered && (
        <span className="number" aria-hidden="true">
          {line + 1}
        </span>
      )}
      <span className="text">
        {segmentsOf(text, log.state(line)).map(({ text: piece, state }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a text have nothing but their order
          <span key={index} className={classOf(state)} style={styleOf(state)}>
            {marked(piece, needle, current)}
          </span>
        ))}
      </span>
    </div>
  );
});

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

/** A match that goes on in the next piece is found, but not marked. */
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
