/**
 * Arguments and variables as the system passed them. Node replaces bytes that are not UTF-8, so that a command would get other arguments
 * than were typed: `rm` would remove another file.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { CliError } from './cli-error.ts';
import { environment } from './config.ts';

const REPLACEMENT = '\ufffd';

/** Throws CliError (exit code 2) for an argument, or a setting in the environment, that is not UTF-8. */
export function assertArgumentsAreText(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const settings = Object.keys(env).filter((name) => name.startsWith('EXECPLANE_'));
  for (const name of settings) assertVariableIsText(name, env);
  if (!args.some((arg) => arg.includes(REPLACEMENT))) return;
  const raw = entriesOf('cmdline').slice(-args.length);
  const at = raw.findIndex((bytes) => !isUtf8(bytes));
  if (at !== -1) throw notText(`argument ${at + 1} (${JSON.stringify(args[at])})`);
}

/** Throws CliError (exit code 2) if a variable of the environment is not UTF-8. */
export function assertVariableIsText(name: string, env: NodeJS.ProcessEnv = environment()): void {
  if (env[name]?.includes(REPLACEMENT) !== true) return;
  const prefix = Buffer.from(`${name}=`);
  const raw = entriesOf('environ').find((bytes) => bytes.subarray(0, prefix.length).equals(prefix));
  if (raw !== undefined && !isUtf8(raw)) throw notText(`the variable ${name}`);
}

function entriesOf(file: 'cmdline' | 'environ'): Buffer[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(`/proc/self/${file}`);
  } catch {
    return [];
  }
  const entries: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const nul = bytes.indexOf(0, from);
    const end = nul === -1 ? bytes.length : nul;
    entries.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return entries;
}

function notText(subject: string): CliError {
  return new CliError(`${subject} is not UTF-8: the machine would get different bytes.`, {
    exitCode: 2,
    hint: 'Send such bytes through stdin, for example: printf … | execplane exec MACHINE -- xargs -0 COMMAND',
  });
}
