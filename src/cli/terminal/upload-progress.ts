import type { StatusLine } from './status-line.ts';

/** A shorter upload shows no progress. */
const SHOWN_AFTER_MS = 1000;
const EVERY_MS = 200;

/** Shows the progress of an upload. `total`: bytes, if known; `name`: what is uploaded; `offset`: bytes sent earlier; `now`: ms of a monotonic clock. */
export function uploadProgress(
  line: Pick<StatusLine, 'show'>,
  total: number | undefined,
  {
    name = 'stdin',
    offset = 0,
    now = () => performance.now(),
  }: { name?: string; offset?: number; now?: () => number } = {},
): (sent: number) => void {
  const startedAt = now();
  let shownAt = startedAt + SHOWN_AFTER_MS - EVERY_MS;
  return (sent) => {
    const at = now();
    if (at - shownAt < EVERY_MS) return;
    shownAt = at;
    const rate = `${size(((sent - offset) * 1000) / (at - startedAt))}/s`;
    const known = total !== undefined && total >= sent;
    const of = known ? ` of ${size(total)} (${Math.floor((sent / total) * 100)} %)` : '';
    line.show(`${name}: ${size(sent)}${of}, ${rate}`);
  };
}

/** Formats bytes such as `1.5 MiB`. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** unit).toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}
