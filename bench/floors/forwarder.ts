/**
 * One process of a bare chain (bare-chain.ts): `forwarder.ts ROLE SOURCE [ARGUMENT...]`. For each connection it opens its source and passes the bytes
 * on by Node's own streams, which wait for a slow reader. It sends its address to its parent.
 */
import { spawn } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';

const [role, source = '', ...rest] = process.argv.slice(2);

/** Returns the server of this role, and the place where it listens. */
function serverOf(): { server: Server; place: string | number } {
  if (role === 'runner') {
    const [command = '', ...args] = rest;
    return { server: createServer((socket) => pipeline(outputOf(command, args), socket, ended)), place: source };
  }
  if (role === 'link') return { server: createServer((socket) => pipeline(connect(source), socket, ended)), place: 0 };
  const open = (): NodeJS.ReadableStream => connect(Number(source), '127.0.0.1');
  return { server: createHttpServer((_request, response) => pipeline(open(), response, ended)), place: 0 };
}

function outputOf(command: string, args: readonly string[]): NodeJS.ReadableStream {
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }).stdout;
}

/** A chain that breaks must not look like a fast one: the reader counts the bytes. */
function ended(error: Error | null | undefined): void {
  if (error) process.stderr.write(`${role}: ${error.message}\n`);
}

const { server, place } = serverOf();
server.listen(typeof place === 'number' ? { port: place, host: '127.0.0.1' } : { path: place }, () => {
  const address = server.address();
  process.send?.(typeof address === 'string' || address === null ? place : address.port);
});
process.once('disconnect', () => process.exit());
