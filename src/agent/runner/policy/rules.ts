import { matchesPath, matchesText } from './glob.ts';
import type { CommandPattern, Rules } from '../../schemas/policy.ts';
import type { PolicyRequest, PolicyVerdict, ResolvedRequest } from './policy.ts';

/** Checks a request against the rules that need no lookup. Names the first rule that it breaks. */
export function checkRules(rules: Rules, request: PolicyRequest): PolicyVerdict {
  const { allow_users, deny_env, max_memory_bytes, max_cpus, max_pids } = rules;
  if (allow_users !== undefined && !allow_users.some((pattern) => matchesText(pattern, request.user)))
    return { allowed: false, rule: `allow_users does not include ${request.user}` };
  const variable = request.envNames.find((name) => deny_env?.some((pattern) => matchesText(pattern, name)));
  if (variable !== undefined) return { allowed: false, rule: `deny_env includes ${variable}` };
  const limits = {
    ...(max_memory_bytes !== undefined && { memoryBytes: max_memory_bytes }),
    ...(max_cpus !== undefined && { cpus: max_cpus }),
    ...(max_pids !== undefined && { pids: max_pids }),
  };
  return {
    allowed: true,
    asks: rules.allow_commands !== undefined || rules.deny_commands !== undefined || rules.allow_cwd !== undefined,
    ...(rules.max_timeout_ms !== undefined && { maxTimeoutMs: rules.max_timeout_ms }),
    ...(rules.max_output_bytes !== undefined && { maxOutputBytes: rules.max_output_bytes }),
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

/** Checks what the kernel resolved against the rules. Returns the first rule that it breaks. */
export function brokenRule(rules: Rules, { argv, file, cwd }: ResolvedRequest): string | undefined {
  const { allow_commands, deny_commands, allow_cwd } = rules;
  const args = argv.slice(1);
  const denied = deny_commands?.find((pattern) => matchesCommand(pattern, file, args));
  if (denied !== undefined) return `deny_commands includes ${JSON.stringify(denied)}`;
  if (allow_commands !== undefined && !allow_commands.some((pattern) => matchesCommand(pattern, file, args)))
    return `allow_commands does not include ${file}`;
  if (allow_cwd !== undefined && !allow_cwd.some((pattern) => matchesPath(pattern, cwd)))
    return `allow_cwd does not include ${cwd}`;
  return undefined;
}

function matchesCommand(pattern: CommandPattern, file: string, args: readonly string[]): boolean {
  const [path = '', ...patterns] = typeof pattern === 'string' ? [pattern] : pattern;
  return matchesPath(path, file) && (typeof pattern === 'string' || matchesArguments(patterns, args));
}

function matchesArguments(patterns: readonly string[], args: readonly string[]): boolean {
  const open = patterns.at(-1) === '**';
  const fixed = open ? patterns.slice(0, -1) : patterns;
  if (open ? args.length < fixed.length : args.length !== fixed.length) return false;
  return fixed.every((pattern, i) => matchesText(pattern, args[i] ?? ''));
}
