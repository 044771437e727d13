/** A table of thousands of rows of equal height: only the visible ones are in the page, which itself scrolls. */
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** As in styles/tables.css. */
const ROW_PX = 42;
const ROWS_BEYOND = 15;

interface VirtualTableProps {
  label: string;
  head: ReactNode;
  count: number;
  /** The row to keep visible as it changes; -1 for none. */
  chosen: number;
  /** A `<tr>`. */
  row: (index: number) => ReactNode;
  columns: number;
}

export function VirtualTable({ label, head, count, chosen, row, columns }: VirtualTableProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [range, setRange] = useState({ from: 0, to: 60 });
  useLayoutEffect(() => {
    const measure = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / ROW_PX) - ROWS_BEYOND);
      const to = Math.ceil((innerHeight - top) / ROW_PX) + ROWS_BEYOND;
      setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    measure();
    addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => {
      removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
    };
  }, []);
  useEffect(() => {
    if (chosen >= 0) keepInSight(body.current, chosen);
  }, [chosen]);
  const from = Math.min(range.from, Math.max(0, count - 1));
  const to = Math.min(range.to, count);
  return (
    <table className="table" aria-label={label} aria-rowcount={count + 1}>
      <thead>{head}</thead>
      <tbody ref={body}>
        <Spacer rows={from} columns={columns} />
        {Array.from({ length: to - from }, (_, index) => row(from + index))}
        <Spacer rows={count - to} columns={columns} />
      </tbody>
    </table>
  );
}

function Spacer({ rows, columns }: { rows: number; columns: number }) {
  if (rows <= 0) return null;
  return (
    <tr className="spacer">
      <td colSpan={columns} style={{ height: rows * ROW_PX }} />
    </tr>
  );
}

function keepInSight(body: HTMLElement | null, index: number): void {
  const top = (body?.getBoundingClientRect().top ?? 0) + index * ROW_PX;
  if (top < ROW_PX) scrollBy(0, top - 2 * ROW_PX);
  else if (top > innerHeight - 2 * ROW_PX) scrollBy(0, top - innerHeight + 3 * ROW_PX);
}
