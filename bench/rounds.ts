/**
 * Runs rounds: every contender runs once in each, so that noise of the machine affects all alike. Ratios are computed within a round.
 */

/** A measured variant. A higher figure is better. */
export interface Contender {
  name: string;
  /** Unit of the figure, such as `/s`, `MB/s`. */
  unit: string;
  /** The floor that it is compared with: the name of another contender of the same rounds. */
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

/** `--tiny`: each bench runs once and small, to check that it works. */
export const TINY: boolean = process.argv.includes('--tiny');
/** `--rounds N`; default 5. */
const ROUNDS = TINY ? 1 : Number(process.argv[process.argv.indexOf('--rounds') + 1] ?? Number.NaN) || 5;

// A bench's processes are ended with it (test/helpers/harness.ts), however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** Runs all contenders in turn, once to warm up and then for each round. Returns a figure for each. */
export async function measure(contenders: readonly Contender[]): Promise<Figure[]> {
  const values = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = TINY ? 0 : -1; round < ROUNDS; round += 1) {
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

/** Prints a table for people, then a JSON line per figure for programs. */
export function print(bench: string, title: string, figures: readonly Figure[]): void {
  const lines = [`\n${title}`];
  for (const { name, unit, median, min, max, ratio } of figures) {
    const own = `  ${name.padEnd(42)} ${show(median).padStart(8)} ${unit.padEnd(5)} ${`(${show(min)}-${show(max)})`.padEnd(16)}`;
    const against = ratio && `  ${show(ratio.median)}x (${show(ratio.min)}-${show(ratio.max)}) of ${ratio.floor}`;
    lines.push(`${own}${against ?? ''}`.trimEnd());
  }
  for (const figure of figures) lines.push(JSON.stringify({ bench, ...figure }, rounded));
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Prints figures that are not speeds, each with its name and unit: one line for people and one for programs. */
export function say(bench: string, label: string, figures: Readonly<Record<string, number>>): void {
  const words = Object.entries(figures).map(([name, value]) => `${name} ${show(value)}`);
  process.stdout.write(`  ${label.padEnd(42)} ${words.join('  ')}\n`);
  process.stdout.write(`${JSON.stringify({ bench, what: label, ...figures }, rounded)}\n`);
}

/** The value below which a share `p` (0 to 1) of `values` lies; NaN for no values. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

/** Runs `task` for each of `total` numbers, `width` at a time. */
export async function inParallel(total: number, width: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < total) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** Runs `task` repeatedly, `width` at a time, for `ms`. Returns the number of ends per second. Adds the ms of each to `times`. */
export async function perSecond(
  width: number,
  ms: number,
  task: () => Promise<void>,
  times: number[] = [],
): Promise<number> {
  const from = performance.now();
  let done = 0;
  const worker = async () => {
    for (let now = from; now - from < ms; done += 1) {
      await task();
      const ended = performance.now();
      times.push(ended - now);
      now = ended;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return (done * 1000) / (performance.now() - from);
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

function rounded(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
