import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ApiError } from '../../../core/errors.ts';

/** Whether the peer has presented a certificate of the agents' authority. TLS has checked it, and that the peer has its key. */
export function hasClientCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

/** The answer to an agent without one. */
export function withoutCertificate(): ApiError {
  return new ApiError('AUTH_SCOPE_FORBIDDEN', {
    message: 'An agent needs a client certificate that this server trusts (EXECPLANE_AGENT_CA).',
  });
}
