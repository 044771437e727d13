/** The parts of Prometheus's text format that are needed here. */

/** Labels as they are written, `{status="queued"}`; empty for none. */
export type Sample = readonly [labels: string, value: number];

/** A source of metrics: whole families, each with its HELP and TYPE. */
export type MetricSource = () => string;

/** Returns a family of samples under one name. */
export function family(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
