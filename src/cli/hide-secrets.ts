import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

/** Settings whose value is a secret. */
const SECRET_FLAG = /^--(api-key|join-token|database-url)(=|$)/;
const SECRET_VARIABLE = /^(EXECPLANE_(API_KEY|JOIN_TOKEN|DATABASE_URL)|OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS)$/;
/** Fields of /proc/PID/stat after the command's name: where its first environment lies (proc_pid_stat(5), 50 and 51). */
const ENV_START = 47;
const ENV_END = 48;

/** The environment without them. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !SECRET_VARIABLE.test(name)));
}

/**
 * Secrets that were given as arguments or variables can be read in the process list and in /proc/PID/environ, also by commands
 * that run as the same user: they stand there no longer than this takes. This process goes on to know them: `env` is `process.env`.
 */
export function hideSecrets(args: readonly string[], env: NodeJS.ProcessEnv): void {
  // Node writes the title over all of the arguments.
  if (args.some((arg) => SECRET_FLAG.test(arg))) process.title = 'execplane';
  const names = Object.keys(env).filter((name) => SECRET_VARIABLE.test(name));
  if (names.length === 0 || process.platform !== 'linux') return;
  // Set again, a variable is kept elsewhere: what is overwritten is only what the kernel shows.
  for (const name of names) env[name] = String(env[name]);
  try {
    overwriteShownValues(names);
  } catch {
    // Where /proc is hidden or closed there is nothing to be read there either.
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

/** `NAME=value`, each with a NUL behind it: the name, and where the value begins and ends. */
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
