/** Where a request comes from, known also when who sent it is gone: nobody stays out of the audit trail by hanging up. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** Looks once at each new connection of the server: Node then remembers the address beyond its end. */
export function rememberAddresses(server: Server, secure: boolean): void {
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => void socket.remoteAddress);
}

/** The client's address, behind a trusted proxy as that says; `unknown` where the connection was gone before it was accepted. */
export function clientAddress(request: FastifyRequest): string {
  return (request.ip as string | undefined) ?? 'unknown';
}
