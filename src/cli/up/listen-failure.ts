import { CliError } from '../cli-error.ts';

/** What a server that could not listen rejects with, said so that people know what to do; anything else as it is. */
export function listenFailure(error: unknown, { host, port }: { host: string; port: number }): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const next = port < 65_535 ? port + 1 : 7411;
  switch (error.code) {
    case 'EADDRINUSE':
      return new CliError(`port ${port} is in use: does Execplane run already, or something else?`, {
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
