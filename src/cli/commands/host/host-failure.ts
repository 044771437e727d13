import { CliError } from '../../cli-error.ts';

/** Returns the error of a command on the host: what did not happen, and why. A setting that cannot be used keeps its exit code, 2. */
export function hostFailure(what: string, cause: unknown): CliError {
  const message = (cause as Error).message.replace(/\.$/, '');
  const exitCode =
    cause instanceof Error && 'exitCode' in cause && typeof cause.exitCode === 'number' ? cause.exitCode : 1;
  return new CliError(`${what}: ${message}.`, { exitCode, cause });
}
