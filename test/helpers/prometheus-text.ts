/** Parses the text format of Prometheus strictly: throws for text that a Prometheus server would refuse. */

export interface MetricFamily {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;

/** Returns the metric families by name. Throws for a sample without a family and for a repeated sample. */
export function parseMetrics(text: string): Map<string, MetricFamily> {
  const families = new Map<string, MetricFamily>();
  const seen = new Set<string>();
  let help = '';
  for (const line of text.replace(/\n$/, '').split('\n')) {
    // Empty lines are ignored (Prometheus, "Text-based format").
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') help = rest;
    else if (kind === 'TYPE') {
      if (families.has(name)) throw new Error(`${name} is declared twice`);
      families.set(name, { type: rest, help, samples: [] });
    } else addSample(families, seen, line);
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistograms(name, family);
  return families;
}

function addSample(families: Map<string, MetricFamily>, seen: Set<string>, line: string): void {
  const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !Number.isFinite(Number(value))) throw new Error(`no sample: ${line}`);
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  if (family === undefined) throw new Error(`a sample before its family: ${line}`);
  const series = `${name}{${labels}}`;
  if (seen.has(series)) throw new Error(`twice: ${series}`);
  seen.add(series);
  family.samples.push({ name, labels: parseLabels(labels), value: Number(value) });
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  for (let match = LABEL.exec(text); match !== null && end < text.length; match = LABEL.exec(text)) {
    labels[match[1] ?? ''] = match[2] ?? '';
    end = LABEL.lastIndex;
  }
  if (end !== text.length) throw new Error(`no labels: {${text}}`);
  return labels;
}

/** Checks that the bucket counts do not fall and that the last bucket equals the count. */
function checkHistograms(name: string, { samples }: MetricFamily): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  for (const count of samples.filter((sample) => sample.name === `${name}_count`)) {
    const own = buckets.filter(({ labels: { le: _bound, ...rest } }) => equal(rest, count.labels));
    const falls = own.some(({ value }, index) => value < (own[index - 1]?.value ?? 0));
    if (falls || own.at(-1)?.labels['le'] !== '+Inf' || own.at(-1)?.value !== count.value) {
      throw new Error(`not a histogram: ${name}${JSON.stringify(count.labels)}`);
    }
  }
}

function equal(a: Record<string, string>, b: Record<string, string>): boolean {
  return JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
}
