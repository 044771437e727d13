import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Whether the other end has shown a certificate of the authority of agents; TLS has checked it, and that its key is there. */
export function hasClientCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized;
}
