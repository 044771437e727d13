/** Reads the environment that `exec` passes to a command. */
import { readConfiguredText } from '../../node/files/configured-file.ts';
import { CliError } from '../cli-error.ts';
import { environment } from '../config.ts';
import { assertVariableIsText } from '../raw-arguments.ts';

/** The largest environment that the server accepts by default. */
const MAX_BYTES = 8_388_608;

/**
 * Parses `NAME=VALUE`. `NAME` alone takes its value from the local environment, and has none if it is not set there. Undefined if the
 * text is neither.
 */
export function environmentVariable(text: string): [name: string, value: string | undefined] | undefined {
  const at = text.indexOf('=');
  if (at === 0 || text === '') return undefined;
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  assertVariableIsText(text);
  return [text, environment()[text]];
}

/** Reads a file with one variable per line. Skips empty lines and lines that begin with #. Throws CliError. */
export function readEnvironmentFile(file: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [at, line] of readConfiguredText('--env-file', file, { maxBytes: MAX_BYTES }).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [name, value] = environmentVariable(line) ?? [];
    if (name === undefined) {
      throw new CliError(`--env-file: line ${at + 1} of ${file} is not NAME=VALUE.`, { exitCode: 2 });
    }
    if (value !== undefined) variables[name] = value;
  }
  return variables;
}
