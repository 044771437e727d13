import { CliError } from '../cli-error.ts';

/** Turns the error of a server that could not listen into one that says what to do. Returns other errors unchanged. */
export function listenFailure(error: unknown, { host, port }: { host: string; port: number }): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const next = port < 65_535 ? port + 1 : 7411;
  switch (error.code) {
    case 'EADDRINUSE':
      return new CliError(`port ${port} is in use, by Execplane or another program.`, {
        cause: error,
        hint: `Choose another one with EXECPLANE_PORT=${next}, or --port ${next}.`,
      });
    case 'EACCES':
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new CliError(`EXECPLANE_HOST, EXECPLANE_PORT: cannot listen on ${host}, port ${port}: ${error.message}`, {
        exitCode: 2,
        cause: error,
      });
    default:
      return error;
  }
}
