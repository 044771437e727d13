/** What a command asks of the machine, all of it resolved. */
export interface PolicyRequest {
  argv: readonly string[];
  /** The file that would be run, absolute; undefined where there is none. Looked for when asked. */
  executable(): string | undefined;
  /** Absolute. */
  cwd: string;
  user: string;
  /** Names of the variables the caller sets. */
  envNames: readonly string[];
}

export type PolicyVerdict =
  /** The ceilings lower what was asked for. */
  | { allowed: true; maxTimeoutMs?: number; maxOutputBytes?: number }
  /** `rule` is what the caller reads. */
  | { allowed: false; rule: string };

/** The machine's own say in what runs on it. */
export interface Policy {
  check(request: PolicyRequest): PolicyVerdict;
}

/** The policy of a machine that has none. */
export const ALLOW_ALL: Policy = { check: () => ({ allowed: true }) };
