/** A search in the output that continues while lines arrive, in slices between frames. */
import { useEffect, useMemo, useState } from 'react';
import type { OutputLog, Stream } from './output-log.ts';
import { TextSearch } from './text-search.ts';

const SLICE_MS = 8;

export interface SearchState {
  /** Lines that match so far. */
  lines: readonly number[];
  searching: boolean;
}

/** Searches the log for `needle`, and again from its start if the text or the streams change. */
export function useSearch(log: OutputLog, version: number, needle: string, only: Stream | undefined): SearchState {
  // biome-ignore lint/correctness/useExhaustiveDependencies: another log is another search
  const search = useMemo(() => (needle === '' ? undefined : new TextSearch(needle, only)), [log, needle, only]);
  const [, setProgress] = useState(0);
  const [searching, setSearching] = useState(false);
  useEffect(() => {
    if (search === undefined || version < 0) return undefined;
    let frame = 0;
    const look = () => {
      const more = search.advance(log, SLICE_MS, () => performance.now());
      setSearching(more);
      setProgress(search.lines.length);
      if (more) frame = requestAnimationFrame(look);
    };
    look();
    return () => cancelAnimationFrame(frame);
  }, [search, log, version]);
  return { lines: search?.lines ?? [], searching: search !== undefined && searching };
}
