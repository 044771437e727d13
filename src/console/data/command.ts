/** Converts between an argv and a shell line. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;
const SHELLS = new Set(['/bin/sh', 'sh', '/bin/bash', 'bash']);

/** Quotes one argument for a POSIX shell, if it needs that. */
export function quoted(argument: string): string {
  return PLAIN.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** The argv as a shell line. */
export function shellText(argv: readonly string[]): string {
  return argv.map(quoted).join(' ');
}

/** Returns the line of `sh -c LINE`; `undefined` for any other command. */
export function shellLine(argv: readonly string[]): string | undefined {
  const [program = '', flag, line, ...more] = argv;
  return SHELLS.has(program) && flag === '-c' && more.length === 0 ? line : undefined;
}

/** Returns a command for a list: the line itself if a shell runs it. */
export function commandText(argv: readonly string[]): string {
  return shellLine(argv) ?? shellText(argv);
}

/** Returns the argv for a shell line: no shell runs unless the argv names it. */
export function shellCommand(line: string): string[] {
  return ['/bin/sh', '-c', line];
}
