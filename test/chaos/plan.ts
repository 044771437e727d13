/** The plan of a seed: the times at which commands are created and faults happen. */
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

/** The fraction of seeds that kill a runner. The others check that nothing is lost: a killed runner loses its commands. */
const KILLS_RUNNERS = 0.4;

export type Step =
  | { at: number; do: 'create'; count: number }
  /** `forMs`: the duration of the fault, or the time until a killed process is started again. `nth`: the number of the affected frame, counted from now. */
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
  return steps.sort((a, b) => a.at - b.at);
}

/** Kills a runner while it has commands: shortly after a step that creates some. */
function killAmongCommands(random: Random, steps: readonly Step[]): Step {
  const { at } = random.pick(steps.filter((step) => step.do === 'create'));
  return { at: at + random.between(20, 800), do: 'kill_runner', forMs: 0, nth: 0 };
}

/** Formats a step as a line of the plan that a failed run prints. */
export function formatStep(step: Step): string {
  return step.do === 'create'
    ? `${step.at} ms: create ${step.count}`
    : `${step.at} ms: ${step.do} (for ${step.forMs} ms, frame ${step.nth})`;
}
