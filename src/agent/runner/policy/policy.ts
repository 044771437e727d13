import type { SpawnLimits } from '../spawner/spawner.ts';

/** The parts of a request that are known before any lookup. */
export interface PolicyRequest {
  user: string;
  /** Names of the variables that the caller sets. */
  envNames: readonly string[];
}

/** The file and directory that are about to be used, as the kernel resolved them: absolute, without symbolic links. */
export interface ResolvedRequest {
  argv: readonly string[];
  file: string;
  cwd: string;
}

export type PolicyVerdict =
  /** The ceilings lower the requested limits. `asks`: the resolved file and directory have to be checked before the start. */
  | { allowed: true; asks: boolean; maxTimeoutMs?: number; maxOutputBytes?: number; limits?: SpawnLimits }
  /** `rule` is shown to the caller. */
  | { allowed: false; rule: string };

/** Decides which commands may run on the machine. */
export interface Policy {
  check(request: PolicyRequest): PolicyVerdict;
  /** Returns the rule that is broken, as shown to the caller. Undefined if none is. */
  brokenRule(request: ResolvedRequest): string | undefined;
}

/** The policy of a machine that has no policy.json. */
export const ALLOW_ALL: Policy = { check: () => ({ allowed: true, asks: false }), brokenRule: () => undefined };
