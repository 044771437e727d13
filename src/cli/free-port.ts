import { createServer } from 'node:net';
import { CliError } from './cli-error.ts';

/** The port to listen on: `port` itself where it can be had, a free one for 0. Throws CliError saying what to do. */
export function listenablePort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => reject(refused(host, port, error)));
    probe.listen(port, host, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

function refused(host: string, port: number, cause: NodeJS.ErrnoException): CliError {
  if (cause.code === 'EADDRINUSE') {
    return new CliError(`port ${port} is in use: does Execplane run already, or something else?`, {
      cause,
      hint: `Choose another port with EXECPLANE_PORT=${port + 1}, or --port ${port + 1}.`,
    });
  }
  return new CliError(`EXECPLANE_HOST, EXECPLANE_PORT: cannot listen on ${host}:${port}: ${cause.message}`, {
    exitCode: 2,
    cause,
  });
}
