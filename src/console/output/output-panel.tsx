/** The output of an execution with its controls: stream, wrapping, search, follow, download. */
import { useEffect, useRef, useState } from 'react';
import { bytesText } from '../parts/duration.ts';
import { Segments } from '../parts/field.tsx';
import { useFocusOnSlash } from '../shell/shortcuts.ts';
import type { OutputLog, Stream } from './output-log.ts';
import { useSearch } from './use-search.ts';
import { OutputViewer } from './viewer.tsx';

type Shown = 'both' | Stream;
const STREAMS: readonly (readonly [Shown, string])[] = [
  ['both', 'Both'],
  ['stdout', 'stdout'],
  ['stderr', 'stderr'],
];

interface OutputPanelProps {
  log: OutputLog;
  version: number;
  /** Stay at the end from the start: for a running execution. */
  live: boolean;
  /** Show line numbers; not for a part of an output. */
  numbered: boolean;
  /** Absent if this is one stream. */
  chooseStream: boolean;
  /** The text if there is no output. */
  empty: string;
  note?: string | undefined;
}

export function OutputPanel({ log, version, live, numbered, chooseStream, empty, note }: OutputPanelProps) {
  const [shown, setShown] = useState<Shown>('both');
  const [wrap, setWrap] = useState(true);
  const [follow, setFollow] = useState(live);
  const [needle, setNeedle] = useState('');
  const [target, setTarget] = useState<{ line: number; index: number }>();
  const only = shown === 'both' ? undefined : shown;
  const { lines, searching } = useSearch(log, version, needle.toLowerCase(), only);
  const field = useRef<HTMLInputElement>(null);
  useFocusOnSlash(field);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another search begins at its first match
  useEffect(() => setTarget(undefined), [needle, only]);

  const jump = (step: 1 | -1) => {
    if (lines.length === 0) return;
    const from = target?.index ?? (step === 1 ? -1 : 0);
    const index = (from + step + lines.length) % lines.length;
    setFollow(false);
    setTarget({ line: lines[index] ?? 0, index });
  };
  const found =
    needle === ''
      ? ''
      : `${target === undefined ? '' : `${target.index + 1} of `}${lines.length}${searching ? ' …' : ''} lines`;
  return (
    <section className="panel output" aria-label="Output">
      <header>
        <div className="output-bar">
          {chooseStream && <Segments label="Stream" value={shown} options={STREAMS} onChange={setShown} />}
          <button type="button" className="button small" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
            Wrap
          </button>
          <button type="button" className="button small" aria-pressed={follow} onClick={() => setFollow(!follow)}>
            {live ? 'Follow' : 'End'}
          </button>
        </div>
        <div className="output-bar">
          <span className="small soft" role="status">
            {found}
          </span>
          <input
            ref={field}
            type="search"
            className="search"
            placeholder="Search output"
            aria-label="Search output"
            value={needle}
            onChange={(event) => setNeedle(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') jump(event.shiftKey ? -1 : 1);
            }}
          />
          <button type="button" className="button small" aria-label="Previous match" onClick={() => jump(-1)}>
            ↑
          </button>
          <button type="button" className="button small" aria-label="Next match" onClick={() => jump(1)}>
            ↓
          </button>
        </div>
      </header>
      {(live || log.length > 0) && (
        <OutputViewer
          log={log}
          version={version}
          wrap={wrap}
          only={only}
          numbered={numbered}
          follow={follow}
          onFollow={setFollow}
          needle={needle.toLowerCase()}
          target={target}
          label="Lines of output"
        />
      )}
      <footer>
        <span>{log.length === 0 ? empty : `${log.length.toLocaleString()} lines, ${bytesText(log.bytes)}`}</span>
        {note !== undefined && <span>{note}</span>}
      </footer>
    </section>
  );
}
