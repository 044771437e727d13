/**
 * Closes connections that have not carried a request when the server stops; clients open some in advance. Node counts them as busy, so a
 * stopping server would wait for them.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Watches a server from its start on. `closeAll` closes silent connections, present and later ones. */
export function watchSilentConnections(server: Server, secure: boolean): { closeAll(): void } {
  const silent = new Set<Socket>();
  let closing = false;
  const onRequest = (request: IncomingMessage): void => {
    silent.delete(request.socket);
  };
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    if (closing) {
      socket.destroy();
      return;
    }
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.on('request', onRequest).on('upgrade', onRequest);
  return {
    closeAll() {
      closing = true;
      for (const socket of silent) socket.destroy();
    },
  };
}
