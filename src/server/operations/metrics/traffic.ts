/** Metrics of the bytes over the server's sockets, separately for clients and agents. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Counter, Gauge, type Registry } from 'prom-client';

type Peer = 'client' | 'agent';
const PEERS = ['client', 'agent'] as const;

/** Adds traffic and open sockets to `registry`. Sockets are read at each scrape, so that traffic itself has no cost. */
export function registerTrafficMetrics(registry: Registry, server: Server, secure: boolean): void {
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
  const registers = [registry];
  new Counter({
    name: 'execplane_network_bytes_total',
    help: 'Bytes over sockets, in and out of the server, since its start.',
    labelNames: ['peer', 'direction'],
    registers,
    collect() {
      const totals = structuredClone(closed);
      for (const [socket, peer] of open) {
        totals[peer].in += socket.bytesRead;
        totals[peer].out += socket.bytesWritten;
      }
      this.reset();
      for (const peer of PEERS) {
        this.inc({ peer, direction: 'in' }, totals[peer].in);
        this.inc({ peer, direction: 'out' }, totals[peer].out);
      }
    },
  });
  new Gauge({
    name: 'execplane_connections',
    help: 'Open sockets.',
    labelNames: ['peer'],
    registers,
    collect() {
      for (const peer of PEERS) this.set({ peer }, 0);
      for (const peer of open.values()) this.inc({ peer });
    },
  });
}
