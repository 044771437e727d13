import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ApiError } from '../../../core/errors.ts';

/** Whether the other end has shown a certificate of the authority of agents; TLS has checked it, and that its key is there. */
export function hasClientCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

/** What an agent without one is told. */
export function withoutCertificate(): ApiError {
  return new ApiError('AUTH_SCOPE_FORBIDDEN', {
    message: 'Agents are let in only with a client certificate that this server trusts (EXECPLANE_AGENT_CA).',
  });
}
