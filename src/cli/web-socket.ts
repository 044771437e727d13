/**
 * The `WebSocket` of the CLI: with a certificate authority and a proxy of this user's own, as in `fetch.ts`. It closes when the
 * server is silent, for example after a change of networks, which closes no connection.
 */
import { WebSocket as NodeWebSocket } from 'ws';
import { startHeartbeat } from '../node/network/heartbeat.ts';
import { proxyFor, webSocketAgent } from '../node/proxy.ts';
import { type ClientConfig, environment } from './config.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 15_000;

/** A server that sends nothing for two heartbeats, not even the answer to a ping, is gone. */
export function webSocketFor(
  { url, ca }: Pick<ClientConfig, 'url' | 'ca'>,
  heartbeatMs = HEARTBEAT_MS,
): (target: string) => WebSocket {
  const agent = webSocketAgent(url, proxyFor(url, environment()));
  const options = {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ...(agent === undefined ? {} : { agent }),
    ...(ca === undefined ? {} : { ca }),
  };
  return (target) => {
    const ws = new NodeWebSocket(target, options);
    ws.once('upgrade', ({ socket }) => {
      const stop = startHeartbeat(ws, socket, heartbeatMs, () => ws.terminate());
      ws.once('close', stop);
    });
    // It implements the platform's interface, and more.
    return ws as unknown as WebSocket;
  };
}
