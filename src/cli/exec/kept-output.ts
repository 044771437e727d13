import type { Execution } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { EXECPLANE_FAILED } from './exit-code.ts';

/** Throws CliError if some of the output was not kept: the printed output is then incomplete. */
export function assertAllKept(execution: Execution): void {
  const cut = (['stdout', 'stderr'] as const).filter((stream) => execution[`${stream}_truncated`] === true);
  if (cut.length === 0) return;
  const sizes = cut.map((stream) => `${stream} of ${execution[`${stream}_bytes`] ?? 0} bytes`).join(', ');
  throw new CliError(`the server did not keep all of the output: the printed output is incomplete (${sizes}).`, {
    exitCode: EXECPLANE_FAILED,
    hint: 'Let the command write to a file on the machine, or raise EXECPLANE_MAX_OUTPUT_BYTES of the server.',
  });
}
