import type { SpawnLimits } from '../spawner/spawner.ts';

/** What a command asks of the machine, as far as it is known before anything is looked up. */
export interface PolicyRequest {
  user: string;
  /** Names of the variables the caller sets. */
  envNames: readonly string[];
}

/** What is about to run: the file and the directory are those that the kernel found, absolute and without symbolic links. */
export interface ResolvedRequest {
  argv: readonly string[];
  file: string;
  cwd: string;
}

export type PolicyVerdict =
  /** The ceilings lower what was asked for. `asks`: what the command leads to is to be checked before it runs. */
  | { allowed: true; asks: boolean; maxTimeoutMs?: number; maxOutputBytes?: number; limits?: SpawnLimits }
  /** `rule` is what the caller reads. */
  | { allowed: false; rule: string };

/** The machine's own say in what runs on it. */
export interface Policy {
  check(request: PolicyRequest): PolicyVerdict;
  /** The rule that it breaks, as the caller reads it; undefined for none. */
  brokenRule(request: ResolvedRequest): string | undefined;
}

/** The policy of a machine that has none. */
export const ALLOW_ALL: Policy = { check: () => ({ allowed: true, asks: false }), brokenRule: () => undefined };
