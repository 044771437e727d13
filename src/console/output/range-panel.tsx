/** An output that is too large for a page: shows one stream, a part of it at a time, read by range. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { transport } from '../data/client.ts';
import { executionPath } from '../data/executions.ts';
import { bytesText } from '../parts/duration.ts';
import { Loading } from '../parts/empty.tsx';
import { Segments } from '../parts/field.tsx';
import { ErrorNotice } from '../parts/notice.tsx';
import { OutputLog, type Stream } from './output-log.ts';
import { OutputPanel } from './output-panel.tsx';

const PART_BYTES = 2 * 1024 * 1024;
const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/;

interface Part {
  log: OutputLog;
  from: number;
  to: number;
  size: number;
}

export function RangePanel({ machineId, executionId }: { machineId: string; executionId: string }) {
  const [stream, setStream] = useState<Stream>('stdout');
  const [from, setFrom] = useState(0);
  const path = `${executionPath(machineId, executionId)}/output/${stream}`;
  const part = useQuery({
    queryKey: ['range', path, from],
    queryFn: ({ signal }) => readPart(path, stream, from, signal),
    placeholderData: keepPreviousData,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const size = part.data?.size ?? 0;
  const last = Math.max(0, Math.floor((size - 1) / PART_BYTES) * PART_BYTES);
  const choose = (next: Stream) => {
    setStream(next);
    setFrom(0);
  };
  return (
    <div className="stack">
      <div className="row">
        <Segments label="Stream" value={stream} options={STREAMS} onChange={choose} />
        <PartButtons from={from} last={last} onChange={setFrom} />
        <span className="small soft" role="status">
          {part.data === undefined ? '' : positionText(part.data)}
        </span>
      </div>
      <input
        type="range"
        aria-label="Position in the output"
        min={0}
        max={last}
        step={PART_BYTES}
        value={from}
        onChange={(event) => setFrom(Number(event.target.value))}
      />
      {part.error !== null && <ErrorNotice error={part.error} onRetry={() => void part.refetch()} />}
      {part.data === undefined ? <Loading /> : <PartView part={part.data} />}
    </div>
  );
}

const STREAMS: readonly (readonly [Stream, string])[] = [
  ['stdout', 'stdout'],
  ['stderr', 'stderr'],
];

function PartButtons({ from, last, onChange }: { from: number; last: number; onChange: (from: number) => void }) {
  const buttons = [
    ['First', 0],
    ['Earlier', Math.max(0, from - PART_BYTES)],
    ['Later', Math.min(last, from + PART_BYTES)],
    ['Last', last],
  ] as const;
  return buttons.map(([text, to]) => (
    <button key={text} type="button" className="button small" disabled={to === from} onClick={() => onChange(to)}>
      {text}
    </button>
  ));
}

function PartView({ part }: { part: Part }) {
  const note = useMemo(() => positionText(part), [part]);
  return (
    <OutputPanel
      key={part.from}
      log={part.log}
      version={part.log.version}
      live={false}
      numbered={false}
      chooseStream={false}
      empty="Nothing was written to this stream."
      note={note}
    />
  );
}

function positionText({ from, to, size }: Part): string {
  return size === 0 ? 'empty' : `${bytesText(from)} to ${bytesText(to)} of ${bytesText(size)}`;
}

/** Reads a part from `from` on. A part that begins in the middle of a line begins with the rest of that line. */
async function readPart(path: string, stream: Stream, from: number, signal: AbortSignal): Promise<Part> {
  const headers = { range: `bytes=${from}-${from + PART_BYTES - 1}`, accept: 'application/octet-stream' };
  const response = await transport.open('GET', path, { headers, signal });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const [, first, , size] = CONTENT_RANGE.exec(response.headers.get('content-range') ?? '') ?? [];
  const log = new OutputLog();
  log.append(stream, bytes);
  log.end();
  const start = Number(first ?? 0);
  return { log, from: start, to: start + bytes.length, size: Number(size ?? bytes.length) };
}
