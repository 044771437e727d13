/** Interleaved rounds: every contender once a round, so that noise of the machine hits all alike; ratios are taken within a round. */

/** One thing measured: a higher figure is better, whatever its unit. */
export interface Contender {
  name: string;
  /** As `/s`, `MB/s`. */
  unit: string;
  /** What it is held against: the name of another contender of the same rounds. */
  floor?: string;
  run: () => Promise<number>;
}

export interface Figure {
  name: string;
  unit: string;
  median: number;
  min: number;
  max: number;
  /** Median, lowest and highest ratio to the floor, each ratio within one round. */
  ratio?: { floor: string; median: number; min: number; max: number };
}

/** Runs all contenders `rounds` times, in turn, after one round to warm up; returns a figure for each. */
export async function measure(contenders: readonly Contender[], rounds: number): Promise<Figure[]> {
  const values = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, run } of contenders) {
      const value = await run();
      if (round >= 0) values.get(name)?.push(value);
    }
  }
  return contenders.map(({ name, unit, floor }) => {
    const own = values.get(name) ?? [];
    const figure: Figure = { name, unit, ...spread(own) };
    const base = floor === undefined ? undefined : values.get(floor);
    if (floor === undefined || base === undefined) return figure;
    return { ...figure, ratio: { floor, ...spread(own.map((value, round) => value / (base[round] ?? Number.NaN))) } };
  });
}

/** The value below which a share `p` (0 to 1) of `values` lies; NaN of nothing. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

/** Prints a table for people, then a JSON line a figure for programs. */
export function print(title: string, figures: readonly Figure[]): void {
  const lines = [`\n${title}`];
  for (const { name, unit, median, min, max, ratio } of figures) {
    const against =
      ratio === undefined ? '' : `  ${show(ratio.median)}x ${ratio.floor} (${show(ratio.min)}-${show(ratio.max)})`;
    lines.push(
      `  ${name.padEnd(44)} ${show(median).padStart(9)} ${unit.padEnd(6)} (${show(min)}-${show(max)})${against}`,
    );
  }
  for (const figure of figures) lines.push(JSON.stringify({ bench: title, ...figure }));
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** `--tiny`: each bench once and small, only to see that it works. */
export const TINY: boolean = process.argv.includes('--tiny');
export const ROUNDS: number = TINY ? 1 : 5;

/** Runs `task` for each of `total` numbers, `width` at a time. */
export async function inParallel(total: number, width: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** Seconds that `task` takes. */
export async function seconds(task: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await task();
  return (performance.now() - from) / 1000;
}

function spread(values: readonly number[]): { median: number; min: number; max: number } {
  return { median: percentile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

function show(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
