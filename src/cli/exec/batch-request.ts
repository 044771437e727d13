/** Converts the flags of `execplane exec --label` to a batch. */
import type { CreateBatch } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { type LimitFlags, limitsOf } from './limits.ts';

/** The flags of `exec` that a batch accepts or has to refuse. */
export interface BatchFlags extends LimitFlags {
  label?: Record<string, string>;
  concurrency?: number;
  maxFailures?: number;
  cwd?: string;
  env?: Record<string, string>;
  envFile?: Record<string, string>;
  timeout?: number;
  user?: string;
  /** Time to wait for an offline machine, in ms. */
  wait: number;
  artifact?: string[];
  interactive?: true;
  download?: string;
  detach?: true;
  json?: true;
}

/** Returns the requested batch. Undefined if one machine is named. Throws CliError for flags that do not fit. */
export function batchRequest(command: string[], flags: BatchFlags): CreateBatch | undefined {
  const { label, concurrency, maxFailures, cwd, timeout, user, artifact } = flags;
  if (label === undefined) {
    if (concurrency !== undefined) throw unfit('--concurrency needs --label.');
    if (maxFailures !== undefined) throw unfit('--max-failures needs --label.');
    return undefined;
  }
  if (flags.interactive)
    throw unfit('--interactive cannot be used with --label: the commands of a batch have no stdin.');
  if (flags.download !== undefined)
    throw unfit('--download cannot be used with --label: use "execplane artifacts get" afterwards.');
  const limits = limitsOf(flags);
  return {
    selector: { labels: label },
    command,
    env: { ...flags.envFile, ...flags.env },
    start_within_ms: flags.wait,
    ...(concurrency === undefined ? {} : { max_concurrency: concurrency }),
    ...(maxFailures === undefined ? {} : { max_failures: maxFailures }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(timeout === undefined ? {} : { timeout_ms: timeout }),
    ...(user === undefined ? {} : { user }),
    ...(limits === undefined ? {} : { limits }),
    ...(artifact === undefined ? {} : { artifacts: artifact.map((path) => ({ path })) }),
  };
}

function unfit(message: string): CliError {
  return new CliError(message, { exitCode: 2 });
}
