/** Charts of the ends of executions and of their times to start, over an hour, a day or a week. */
import { useMemo } from 'react';
import type { ConsoleOverview } from '../../api/console.ts';
import { durationText } from '../parts/duration.ts';
import { Chart } from './chart.tsx';

const countText = (count: number): string => (Number.isInteger(count) ? count.toLocaleString() : '');

const SPAN_TEXT = new Map([
  [60_000, 'minute'],
  [900_000, '15 minutes'],
  [7_200_000, '2 hours'],
]);

export function OverviewCharts({ overview }: { overview: ConsoleOverview }) {
  const { points, step_ms: stepMs } = overview;
  const times = useMemo(() => points.map(({ at }) => Date.parse(at) / 1000), [points]);
  const ends = useMemo(
    () => [
      { name: 'succeeded', colour: '--good', values: points.map(({ succeeded }) => succeeded) },
      { name: 'failed', colour: '--bad', values: points.map(({ failed }) => failed) },
      { name: 'cancelled', colour: '--line-strong', values: points.map(({ cancelled }) => cancelled) },
    ],
    [points],
  );
  const starts = useMemo(
    () => [
      { name: 'half within', colour: '--busy', values: points.map(({ start_p50_ms: ms }) => ms) },
      { name: '95 % within', colour: '--wake', values: points.map(({ start_p95_ms: ms }) => ms) },
    ],
    [points],
  );
  const total = points.reduce((sum, { succeeded, failed, cancelled }) => sum + succeeded + failed + cancelled, 0);
  const failures = points.reduce((sum, { failed }) => sum + failed, 0);
  const slowest = Math.max(0, ...points.map(({ start_p95_ms: ms = 0 }) => ms));
  return (
    <div className="columns wide">
      <Chart
        title={`Ended each ${SPAN_TEXT.get(stepMs) ?? durationText(stepMs)}`}
        summary={`${total.toLocaleString()} in all, ${failures.toLocaleString()} of them failed`}
        times={times}
        series={ends}
        format={countText}
        stacked
      />
      <Chart
        title="From create to start"
        summary={`at most ${durationText(slowest)} for 95 % of them`}
        times={times}
        series={starts}
        format={durationText}
      />
    </div>
  );
}
