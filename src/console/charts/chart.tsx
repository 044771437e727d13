/** A chart over time, in the colours of the theme, with a text of its numbers for screen readers. */
import { useEffect, useRef } from 'react';
import { useThemeName } from '../shell/theme.ts';
import type UPlot from 'uplot';

const HEIGHT_PX = 180;

export interface Series {
  name: string;
  /** A custom property of styles/tokens.css. */
  colour: string;
  values: readonly (number | undefined)[];
}

interface ChartProps {
  title: string;
  /** The chart in one sentence. */
  summary: string;
  /** Time of each point, s since the epoch. */
  times: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  /** Bars are stacked; the first is the lowest. */
  stacked?: boolean;
}

export function Chart(props: ChartProps) {
  const { title, series } = props;
  const theme = useThemeName();
  return (
    <section className="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className="legend">
          {series.map(({ name, colour }) => (
            <span key={name} style={{ ['--swatch' as string]: `var(${colour})` }}>
              {name}
            </span>
          ))}
        </span>
      </header>
      {/* Colours are read once: another theme is another drawing. */}
      <Drawing key={theme} {...props} />
    </section>
  );
}

function Drawing({ title, summary, times, series, format, stacked = false }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    let chart: UPlot | undefined;
    let disposed = false;
    const resize = new ResizeObserver(() => chart?.setSize({ width: innerWidthOf(element), height: HEIGHT_PX }));
    void import('uplot').then(({ default: Plot }) => {
      if (disposed) return;
      const options = optionsOf({ Plot, element, series, format, stacked });
      chart = new Plot(options, [times.slice(), ...drawn(series, stacked)], element);
      resize.observe(element);
    });
    return () => {
      disposed = true;
      resize.disconnect();
      chart?.destroy();
    };
  }, [times, series, format, stacked]);
  return <div ref={place} className="chart" role="img" aria-label={`${title}: ${summary}`} />;
}

/** The size without padding. */
function innerWidthOf(element: HTMLElement): number {
  const { paddingLeft, paddingRight } = getComputedStyle(element);
  return element.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
}

/**
 * Returns the data for uPlot. With `stacked`, each series includes all below it; the highest one comes first, so that lower ones are drawn over
 * it.
 */
function drawn(series: readonly Series[], stacked: boolean): (number | null)[][] {
  if (!stacked) return series.map(({ values }) => values.map((value) => value ?? null));
  return stackedSums(series).reverse();
}

/** Returns each series with the sums of all series below it. */
export function stackedSums(series: readonly Pick<Series, 'values'>[]): number[][] {
  let below: number[] = [];
  return series.map(({ values }) => {
    below = values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
    return below;
  });
}

function optionsOf(p: {
  Plot: typeof UPlot;
  element: HTMLElement;
  series: readonly Series[];
  format: (value: number) => string;
  stacked: boolean;
}): UPlot.Options {
  const styles = getComputedStyle(p.element);
  const colour = (name: string) => styles.getPropertyValue(name).trim();
  const shown = p.stacked ? [...p.series].reverse() : p.series;
  const bars = p.Plot.paths.bars?.({ size: [0.85, 40], align: 1 });
  const axis = {
    stroke: colour('--text-soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `12px ${styles.fontFamily}`,
  };
  return {
    width: innerWidthOf(p.element),
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, maximum) => [0, Math.max(1, maximum * 1.1)] } },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => timeTexts(ticks) },
      { ...axis, size: 64, values: (_, ticks) => ticks.map(p.format) },
    ],
    series: [
      {},
      ...shown.map((series) => ({
        label: series.name,
        stroke: colour(series.colour),
        ...(p.stacked && bars !== undefined
          ? { fill: colour(series.colour), width: 0, paths: bars, points: { show: false } }
          : { width: 2, points: { filter: lonePoints } }),
      })),
    ],
  };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/** Returns the values without neighbours, which are drawn as points because a line needs two values. */
function lonePoints(plot: UPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const isMissing = (index: number): boolean => values[index] == null;
  return [...values.keys()].filter((index) => !isMissing(index) && isMissing(index - 1) && isMissing(index + 1));
}

/** The time of each tick, with the date at the start of a day. */
function timeTexts(ticks: readonly number[]): string[] {
  return ticks.map((seconds) => {
    const date = new Date(seconds * 1000);
    return date.getHours() === 0 && date.getMinutes() === 0 ? day.format(date) : clock.format(date);
  });
}
