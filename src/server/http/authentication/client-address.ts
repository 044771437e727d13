/** Determines the address of a client. It stays known after the client has disconnected, for the audit trail. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** Reads the address of each new connection of the server once: Node then remembers it beyond the connection's end. */
export function rememberAddresses(server: Server, secure: boolean): void {
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => void socket.remoteAddress);
}

/**
 * Returns the client's address; behind a trusted proxy, the one in the proxy's header. `unknown` if the connection was closed before it was
 * accepted.
 */
export function clientAddress(request: FastifyRequest): string {
  return (request.ip as string | undefined) ?? 'unknown';
}
