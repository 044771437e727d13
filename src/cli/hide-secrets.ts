/** Flags whose value is a secret; each has a variable, which only this user can see. */
const SECRET_FLAG = /^--(api-key|join-token)(=|$)/;

/** Other users of the host read arguments in the process list: a secret among them stands there no longer than this takes. */
export function hideSecretArguments(args: readonly string[]): void {
  // Node writes the title over all of the arguments.
  if (args.some((arg) => SECRET_FLAG.test(arg))) process.title = 'execplane';
}
