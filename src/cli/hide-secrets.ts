import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

/** Settings whose value is a secret. */
const SECRET_FLAG = /^--(api-key|join-token|database-url)(=|$)/;
const SECRET_VARIABLE = /^(EXECPLANE_(API_KEY|JOIN_TOKEN|DATABASE_URL)|OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS)$/;
/** Fields of /proc/PID/stat after the command's name: the place of its first environment (proc_pid_stat(5), 50 and 51). */
const ENV_START = 47;
const ENV_END = 48;

/** Returns the environment without the secrets. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SECRET_VARIABLE.test(name)));
}

/**
 * Hides secrets in arguments and variables, which can be read in the process list and in /proc/PID/environ, also by commands that run as the
 * same user. They are visible until this function returns. This process keeps them: `env` is `process.env`.
 */
export function hideSecrets(args: readonly string[], env: NodeJS.ProcessEnv): void {
  // Node writes the title over all of the arguments.
  if (args.some((arg) => SECRET_FLAG.test(arg))) process.title = 'execplane';
  const names = Object.keys(env).filter((name) => SECRET_VARIABLE.test(name));
  if (names.length === 0 || process.platform !== 'linux') return;
  // Setting a variable again moves it to other memory, so that only the copy that the kernel shows is overwritten.
  for (const name of names) env[name] = String(env[name]);
  try {
    overwriteShownValues(names);
  } catch {
    // If /proc is hidden or closed, secrets cannot be read there either.
  }
}

function overwriteShownValues(names: readonly string[]): void {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const start = Number(fields[ENV_START]);
  const shown = Buffer.alloc(Number(fields[ENV_END]) - start);
  const memory = openSync('/proc/self/mem', 'r+');
  try {
    readSync(memory, shown, 0, shown.length, start);
    for (const { name, at, end } of entriesOf(shown)) {
      if (names.includes(name)) writeSync(memory, Buffer.alloc(end - at), 0, end - at, start + at);
    }
  } finally {
    closeSync(memory);
  }
}

/** Finds each `NAME=value`, which ends with a NUL: the name, and the start and end of the value. */
function* entriesOf(environment: Buffer): Generator<{ name: string; at: number; end: number }> {
  for (let from = 0; from < environment.length; ) {
    const nul = environment.indexOf(0, from);
    const end = nul === -1 ? environment.length : nul;
    const equals = environment.indexOf('=', from);
    if (equals !== -1 && equals < end)
      yield { name: environment.toString('latin1', from, equals), at: equals + 1, end };
    from = end + 1;
  }
}
