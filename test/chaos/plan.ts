/** What a seed does: when commands are created, and which faults happen meanwhile. */
import type { Random } from './random.ts';

export const FAULTS = [
  'cut',
  'freeze',
  'delay',
  'truncate_to_server',
  'truncate_to_agent',
  'cut_to_server',
  'cut_to_agent',
  'repeat',
  'kill_server',
  'stop_server',
  'kill_link',
  'detach_link',
  'kill_runner',
] as const;
export type Fault = (typeof FAULTS)[number];

export type Step =
  | { at: number; do: 'create'; count: number }
  /** `forMs`: how long it lasts, or how long the process stays away. `nth`: which frame from now on is hit. */
  | { at: number; do: Fault; forMs: number; nth: number };

/** The steps of a run of about `durationMs`, in order. Killing runners is for one seed in four: it costs what runs. */
export function makePlan(random: Random, durationMs: number): Step[] {
  const killsRunners = random.next() < 0.25;
  const faults = FAULTS.filter((fault) => fault !== 'kill_runner' || killsRunners);
  const steps: Step[] = [{ at: 0, do: 'create', count: random.between(2, 8) }];
  for (let at = random.between(20, 150); at < durationMs; at += random.between(20, 400)) {
    if (random.next() < 0.4) steps.push({ at, do: 'create', count: random.between(1, 10) });
    else steps.push({ at, do: random.pick(faults), forMs: random.between(0, 600), nth: random.between(0, 12) });
  }
  return steps;
}

/** A step as a line for a person. */
export function saidStep(step: Step): string {
  return step.do === 'create'
    ? `${step.at} ms: create ${step.count}`
    : `${step.at} ms: ${step.do} (for ${step.forMs} ms, frame ${step.nth})`;
}
