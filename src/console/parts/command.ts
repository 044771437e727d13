/** Commands as text: an argv as one would type it, and the other way round. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;
const SHELLS = new Set(['/bin/sh', 'sh', '/bin/bash', 'bash']);

/** One argument, quoted for a POSIX shell where that is needed. */
export function quoted(argument: string): string {
  return PLAIN.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** The argv as a shell line. */
export function shellText(argv: readonly string[]): string {
  return argv.map(quoted).join(' ');
}

/** The line of `sh -c LINE`; `undefined` for any other command. */
export function shellLine(argv: readonly string[]): string | undefined {
  const [program = '', flag, line, ...more] = argv;
  return SHELLS.has(program) && flag === '-c' && more.length === 0 ? line : undefined;
}

/** How a command is shown in a list: the line itself where a shell runs it. */
export function commandText(argv: readonly string[]): string {
  return shellLine(argv) ?? shellText(argv);
}

/** What a shell line becomes: no shell runs unless it is named. */
export function shellCommand(line: string): string[] {
  return ['/bin/sh', '-c', line];
}
