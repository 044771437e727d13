import { realpathSync } from 'node:fs';
import { matchesPath, matchesText } from './glob.ts';
import type { PolicyRequest, PolicyVerdict } from './policy.ts';

/**
 * A pattern of commands: the executable's path alone, whatever its arguments, or the path and each argument; a last `**`
 * stands for any rest of the arguments.
 */
type CommandPattern = string | string[];

/** The content of policy.json. What is absent limits nothing. */
export interface Rules {
  /** Only these run. */
  allow_commands?: CommandPattern[];
  /** These do not, even where they are allowed. */
  deny_commands?: CommandPattern[];
  /** Working directories, as globs of absolute paths without symbolic links. */
  allow_cwd?: string[];
  allow_users?: string[];
  /** Names of variables that a caller can't set. */
  deny_env?: string[];
  /** Ceilings: what asks for more gets this much. */
  max_timeout_ms?: number;
  max_output_bytes?: number;
}

/** Holds a command against the rules; the first that it breaks is named. */
export function checkRules(rules: Rules, request: PolicyRequest): PolicyVerdict {
  const broken = brokenRule(rules, request);
  if (broken !== undefined) return { allowed: false, rule: broken };
  return {
    allowed: true,
    ...(rules.max_timeout_ms !== undefined && { maxTimeoutMs: rules.max_timeout_ms }),
    ...(rules.max_output_bytes !== undefined && { maxOutputBytes: rules.max_output_bytes }),
  };
}

function brokenRule(rules: Rules, request: PolicyRequest): string | undefined {
  const { allow_commands, deny_commands, allow_cwd, allow_users, deny_env } = rules;
  const executable = request.executable();
  const denied = deny_commands?.find((pattern) => matchesCommand(pattern, executable, request.argv));
  if (denied !== undefined) return `deny_commands has ${JSON.stringify(denied)}`;
  if (allow_commands !== undefined && !allow_commands.some((one) => matchesCommand(one, executable, request.argv)))
    return `allow_commands does not have ${executable ?? request.argv[0]}`;
  const cwd = real(request.cwd);
  if (allow_cwd !== undefined && !allow_cwd.some((pattern) => matchesPath(pattern, cwd)))
    return `allow_cwd does not have ${cwd}`;
  if (allow_users !== undefined && !allow_users.some((pattern) => matchesText(pattern, request.user)))
    return `allow_users does not have ${request.user}`;
  const variable = request.envNames.find((name) => deny_env?.some((pattern) => matchesText(pattern, name)));
  return variable === undefined ? undefined : `deny_env has ${variable}`;
}

/** By the name it was found under and by the file that it really is: a link is no way around a rule. */
function matchesCommand(pattern: CommandPattern, executable: string | undefined, argv: readonly string[]): boolean {
  const [path = '', ...patterns] = typeof pattern === 'string' ? [pattern] : pattern;
  const file = executable ?? argv[0] ?? '';
  if (!matchesPath(path, file) && !matchesPath(path, real(file))) return false;
  return typeof pattern === 'string' || matchesArguments(patterns, argv.slice(1));
}

function matchesArguments(patterns: readonly string[], args: readonly string[]): boolean {
  const open = patterns.at(-1) === '**';
  const fixed = open ? patterns.slice(0, -1) : patterns;
  if (open ? args.length < fixed.length : args.length !== fixed.length) return false;
  return fixed.every((pattern, i) => matchesText(pattern, args[i] ?? ''));
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
