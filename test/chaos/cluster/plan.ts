/** The plan of a seed for several servers on one PostgreSQL. */
import type { Random } from '../random.ts';

const CLUSTER_FAULTS = [
  'kill_server',
  'kill_server',
  'stop_server',
  'freeze_server',
  'cut_links',
  'freeze_links',
  'cut_database',
  'freeze_database',
  'restart_database',
  'crash_database',
  'end_backends',
  'lose_hints',
  'kill_link',
] as const;
type ClusterFault = (typeof CLUSTER_FAULTS)[number];

export type ClusterStep =
  | { at: number; do: 'create'; count: number }
  | { at: number; do: 'create_batch' }
  /** `forMs`: the duration of the fault, or the time until a killed process is started again. `of`: the index of the server or agent. */
  | { at: number; do: ClusterFault; forMs: number; of: number };

/** The interval between kills of a server, besides all other faults, ms. */
const KILL_INTERVAL_MS = 3000;

/** The steps of a run of about `durationMs`, in order. */
export function makeClusterPlan(random: Random, durationMs: number, servers: number): ClusterStep[] {
  const of = (): number => random.between(0, servers - 1);
  const steps: ClusterStep[] = [
    { at: 0, do: 'create', count: random.between(2, 6) },
    { at: random.between(0, 500), do: 'create_batch' },
  ];
  for (let at = random.between(300, 900); at < durationMs; at += KILL_INTERVAL_MS) {
    steps.push({ at, do: 'kill_server', forMs: random.between(0, 1500), of: of() });
  }
  for (let at = random.between(50, 300); at < durationMs; at += random.between(100, 700)) {
    const chance = random.next();
    if (chance < 0.4) steps.push({ at, do: 'create', count: random.between(1, 5) });
    else if (chance < 0.5) steps.push({ at, do: 'create_batch' });
    else steps.push({ at, do: random.pick(CLUSTER_FAULTS), forMs: random.between(0, 1500), of: of() });
  }
  // Sometimes a server cannot reach the database for so long that the others declare it dead although it runs.
  if (random.next() < 0.1) steps.push({ at: random.between(0, 1000), do: 'freeze_database', forMs: 13_000, of: of() });
  return steps.sort((a, b) => a.at - b.at);
}

/** Formats a step as a line of the plan that a failed run prints. */
export function formatClusterStep(step: ClusterStep): string {
  if (step.do === 'create') return `${step.at} ms: create ${step.count}`;
  if (step.do === 'create_batch') return `${step.at} ms: create a batch`;
  return `${step.at} ms: ${step.do} (number ${step.of}, for ${step.forMs} ms)`;
}
