/** An operand of `execplane cp`: a local path, stdin or stdout, or a path on a machine. */
import { CliError } from '../cli-error.ts';

export type Operand =
  /** `machine`: its id or its name. */
  { at: 'machine'; machine: string; path: string } | { at: 'here'; path: string } | { at: 'stream' };

/** Reads `MACHINE:PATH`, a local path, or `-` for stdin or stdout. A local name with a colon is written as `./x:y`. */
export function readOperand(text: string): Operand {
  if (text === '-') return { at: 'stream' };
  const [, machine, path] = /^([a-z0-9][a-z0-9._-]*):(.*)$/s.exec(text) ?? [];
  if (machine === undefined || path === undefined) return { at: 'here', path: text };
  return { at: 'machine', machine, path: path === '' ? '.' : path };
}

/** Throws CliError unless one side is a machine and the other one is not. */
export function assertOneMachine(from: Operand, to: Operand): void {
  if ((from.at === 'machine') !== (to.at === 'machine')) return;
  throw new CliError('exactly one of the two operands must be MACHINE:PATH, such as dm-web-1:/etc/hosts.', {
    exitCode: 2,
  });
}
