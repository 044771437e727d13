/** Counts values in fixed buckets. Its memory does not grow with the number of values. */

/** Upper bounds of buckets for times, in seconds. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600] as const;

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #inBucket: number[];
  #count = 0;
  #sum = 0;

  /** `bounds` rise. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#inBucket = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#count += 1;
    this.#sum += value;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#inBucket[bucket] = (this.#inBucket[bucket] ?? 0) + 1;
  }

  /** Returns its lines in Prometheus's text format; `labels` without braces. */
  lines(name: string, labels = ''): string {
    const before = labels === '' ? '' : `${labels},`;
    const own = labels === '' ? '' : `{${labels}}`;
    let below = 0;
    const buckets = this.#bounds.map((bound, index) => {
      below += this.#inBucket[index] ?? 0;
      return `${name}_bucket{${before}le="${bound}"} ${below}\n`;
    });
    return `${buckets.join('')}${name}_bucket{${before}le="+Inf"} ${this.#count}
${name}_sum${own} ${this.#sum}
${name}_count${own} ${this.#count}
`;
  }
}

/** Returns a family of histograms: one for each set of labels. */
export function histogramFamily(
  name: string,
  help: string,
  histograms: Iterable<readonly [labels: string, histogram: Histogram]>,
): string {
  const lines = Array.from(histograms, ([labels, histogram]) => histogram.lines(name, labels));
  return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${lines.join('')}`;
}
