/** Bytes over the sockets of the server, of clients and of agents separately. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { family, type MetricSource } from './exposition.ts';

type Peer = 'client' | 'agent';
const PEERS = ['client', 'agent'] as const;

/** Counts from the start of the server on. Open sockets are read at each scrape, so that traffic costs nothing. */
export function countTraffic(server: Server, secure: boolean): MetricSource {
  const open = new Map<Socket, Peer>();
  const closed = { client: { in: 0, out: 0 }, agent: { in: 0, out: 0 } };
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    open.set(socket, 'client');
    socket.once('close', () => {
      const total = closed[open.get(socket) ?? 'client'];
      total.in += socket.bytesRead;
      total.out += socket.bytesWritten;
      open.delete(socket);
    });
  });
  server.on('upgrade', (_request, socket) => {
    if (open.has(socket as Socket)) open.set(socket as Socket, 'agent');
  });
  return () => {
    const totals = structuredClone(closed);
    const sockets = { client: 0, agent: 0 };
    for (const [socket, peer] of open) {
      totals[peer].in += socket.bytesRead;
      totals[peer].out += socket.bytesWritten;
      sockets[peer] += 1;
    }
    return (
      family(
        'execplane_network_bytes_total',
        'counter',
        'Bytes over sockets, in and out of the server.',
        PEERS.flatMap((peer) => [
          [`{peer="${peer}",direction="in"}`, totals[peer].in] as const,
          [`{peer="${peer}",direction="out"}`, totals[peer].out] as const,
        ]),
      ) +
      family(
        'execplane_connections',
        'gauge',
        'Open sockets.',
        PEERS.map((peer) => [`{peer="${peer}"}`, sockets[peer]] as const),
      )
    );
  };
}
