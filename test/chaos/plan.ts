/** The plan of a seed: when commands are created, and which faults happen meanwhile. */
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
  'kill_server_at_frame',
  'kill_link_at_frame',
  'kill_runner',
  'kill_runner_at_frame',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Killing a runner loses its commands, so only some of the seeds do it. */
const KILLS_RUNNERS = 0.4;

export type Step =
  | { at: number; do: 'create'; count: number }
  /** `forMs`: how long it lasts, or how long the process stays away. `nth`: which frame from now on is hit. */
  | { at: number; do: Fault; forMs: number; nth: number };

/** The steps of a run of about `durationMs`, in order. */
export function makePlan(random: Random, durationMs: number): Step[] {
  const killsRunners = random.next() < KILLS_RUNNERS;
  const faults = FAULTS.filter((fault) => killsRunners || !fault.startsWith('kill_runner'));
  const steps: Step[] = [{ at: 0, do: 'create', count: random.between(2, 8) }];
  for (let at = random.between(20, 150); at < durationMs; at += random.between(20, 400)) {
    if (random.next() < 0.4) steps.push({ at, do: 'create', count: random.between(1, 10) });
    else steps.push({ at, do: random.pick(faults), forMs: random.between(0, 600), nth: random.between(0, 12) });
  }
  if (killsRunners) steps.push(killAmongCommands(random, steps));
  return steps.sort((one, other) => one.at - other.at);
}

/** A runner dies while it has commands: a little after some were created. */
function killAmongCommands(random: Random, steps: readonly Step[]): Step {
  const { at } = random.pick(steps.filter((step) => step.do === 'create'));
  return { at: at + random.between(20, 800), do: 'kill_runner', forMs: 0, nth: 0 };
}

/** A step as a line for a person. */
export function saidStep(step: Step): string {
  return step.do === 'create'
    ? `${step.at} ms: create ${step.count}`
    : `${step.at} ms: ${step.do} (for ${step.forMs} ms, frame ${step.nth})`;
}
