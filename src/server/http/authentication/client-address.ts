/** Determines the address of a client. It stays known after the client has disconnected, for the audit trail. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { TrustedProxies } from '../../trusted-proxies.ts';

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

/** Returns the same for an upgrade, which does not pass through the framework. */
export function upgradeAddress({ socket, headers }: IncomingMessage, isTrusted: TrustedProxies = () => false): string {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  const nearestFirst = [socket.remoteAddress ?? 'unknown', ...forwarded.map((address) => address.trim()).reverse()];
  const addresses = nearestFirst.filter((address) => address !== '');
  const client = addresses.findIndex((address, hop) => !isTrusted(address, hop));
  return addresses.at(client) ?? 'unknown';
}
