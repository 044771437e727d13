/** The address of a client. It stays known after the client has disconnected: hanging up keeps nobody out of the audit trail. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** Reads the address of each new connection of the server once: Node then remembers it beyond the connection's end. */
export function rememberAddresses(server: Server, secure: boolean): void {
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => void socket.remoteAddress);
}

/**
 * Returns the client's address; behind a trusted proxy, the one that the proxy states. `unknown` if the connection was gone before it was
 * accepted.
 */
export function clientAddress(request: FastifyRequest): string {
  return (request.ip as string | undefined) ?? 'unknown';
}
