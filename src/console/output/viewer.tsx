/** Shows output of up to millions of lines: only the visible ones are in the page. */
import { type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { OutputLine } from './output-line.tsx';
import type { OutputLog, Stream } from './output-log.ts';
import { RowLayout } from './row-layout.ts';

const ROW_PX = 19;
/** Browsers cannot scroll further than about 17 million pixels: above this, one pixel of the scroll bar covers more lines. */
const MAX_CANVAS_PX = 12_000_000;
const ROWS_BEYOND = 20;
/** Columns before each line for its number. */
const NUMBER_COLUMNS = 8.5;
const MIN_COLUMNS = 20;
/** Within this distance of the end, the viewer counts as being at the end. */
const AT_END_PX = 4;

export interface ViewerProps {
  log: OutputLog;
  /** Version of the log, so that a change causes a render. */
  version: number;
  wrap: boolean;
  only?: Stream | undefined;
  numbered: boolean;
  /** Stay at the end as it moves. */
  follow: boolean;
  onFollow: (follow: boolean) => void;
  needle: string;
  /** The line to jump to. A new object jumps again. */
  target: { line: number } | undefined;
  label: string;
}

export function OutputViewer(props: ViewerProps) {
  const { log, version, wrap, only, numbered, follow, onFollow, needle, target, label } = props;
  const scroller = useRef<HTMLElement>(null);
  const { height, charPx, width } = useSize(scroller);
  const [scrollTop, setScrollTop] = useState(0);
  const room = Math.floor(width / charPx - (numbered ? NUMBER_COLUMNS : 1));
  const columns = wrap ? Math.max(MIN_COLUMNS, room) : Number.POSITIVE_INFINITY;
  const layout = useMemo(() => new RowLayout(log, { columns, only }), [log, columns, only]);
  useUpdatedLayout(log, layout, version);

  const total = layout.rows * ROW_PX;
  const canvas = Math.min(total, MAX_CANVAS_PX);
  const scale = canvas > height ? (total - height) / (canvas - height) : 1;
  const offset = scrollTop * scale;
  const first = layout.lineAt(Math.max(0, Math.floor(offset / ROW_PX) - ROWS_BEYOND));
  const last = layout.lineAt(Math.ceil((offset + height) / ROW_PX) + ROWS_BEYOND);

  const scrollTo = useCallback((px: number) => {
    if (scroller.current !== null) scroller.current.scrollTop = px;
  }, []);
  useLayoutEffect(() => {
    if (follow && version >= 0) scrollTo(canvas);
  }, [follow, version, canvas, scrollTo]);
  const jumped = useRef<object>(undefined);
  useLayoutEffect(() => {
    // A jump happens once, even if the layout changes later.
    if (target === undefined || jumped.current === target) return;
    jumped.current = target;
    scrollTo(Math.max(0, (layout.top(target.line) * ROW_PX - height / 2) / scale));
  });

  const onScroll = ({ currentTarget }: { currentTarget: HTMLElement }) => {
    setScrollTop(currentTarget.scrollTop);
    const atEnd = currentTarget.scrollTop + currentTarget.clientHeight >= currentTarget.scrollHeight - AT_END_PX;
    if (atEnd !== follow) onFollow(atEnd);
  };
  const lines = Array.from({ length: Math.min(last + 1, log.length) - first }, (_, index) => first + index);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached from the keyboard
    <section ref={scroller} className="output-scroll" onScroll={onScroll} aria-label={label} tabIndex={0}>
      <div
        className="output-canvas"
        style={{
          height: Math.max(canvas, 1),
          width: wrap ? '100%' : `${layout.widest + NUMBER_COLUMNS + 2}ch`,
          ['--columns' as string]: `${columns}ch`,
        }}
      >
        {lines.map((line) => {
          const rows = layout.rowsOfLine(line);
          if (rows === 0) return null;
          return (
            <OutputLine
              key={line}
              log={log}
              line={line}
              text={log.text(line)}
              top={layout.top(line) * ROW_PX - offset + scrollTop}
              height={rows * ROW_PX}
              columns={rows > 1 ? columns : undefined}
              numbered={numbered}
              needle={needle}
              current={target?.line === line}
            />
          );
        })}
      </div>
    </section>
  );
}

/** Updates the layout with the lines that were added or changed since the last call. */
function useUpdatedLayout(log: OutputLog, layout: RowLayout, version: number): void {
  const shown = useRef({ layout, version });
  if (shown.current.layout === layout && shown.current.version === version) return;
  const from = log.takeChangedFrom();
  if (shown.current.layout === layout) layout.update(from);
  shown.current = { layout, version };
}

function useSize(element: RefObject<HTMLElement | null>): { height: number; width: number; charPx: number } {
  const [size, setSize] = useState({ height: 600, width: 800, charPx: 7.8 });
  useLayoutEffect(() => {
    const { current } = element;
    if (current === null) return undefined;
    const measure = () => {
      setSize({ height: current.clientHeight, width: current.clientWidth, charPx: charWidth(current) });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(current);
    measure();
    return () => observer.disconnect();
  }, [element]);
  return size;
}

function charWidth(element: HTMLElement): number {
  const probe = document.createElement('span');
  probe.textContent = '0'.repeat(100);
  probe.className = 'visually-hidden';
  probe.style.width = 'auto';
  element.append(probe);
  const { width } = probe.getBoundingClientRect();
  probe.remove();
  return width > 0 ? width / 100 : 7.8;
}
