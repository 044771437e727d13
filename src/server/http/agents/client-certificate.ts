import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ApiError } from '../../../core/errors.ts';

/** Whether the peer has presented a certificate of the agents' authority. TLS has verified it and the peer's key. */
export function hasClientCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}

/** Returns the refusal of an agent without a client certificate. */
export function withoutCertificate(): ApiError {
  return new ApiError('AUTH_SCOPE_FORBIDDEN', {
    message: 'An agent needs a client certificate that this server trusts (EXECPLANE_AGENT_CA).',
  });
}
