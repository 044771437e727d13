/** The `WebSocket` of the CLI: with a certificate authority and a proxy of this user's own, as in `fetch.ts`. */
import { WebSocket as NodeWebSocket } from 'ws';
import { proxyFor, webSocketAgent } from '../node/proxy.ts';
import { type ClientConfig, environment } from './config.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

export function webSocketFor({ url, ca }: Pick<ClientConfig, 'url' | 'ca'>): (target: string) => WebSocket {
  const agent = webSocketAgent(url, proxyFor(url, environment()));
  const options = {
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ...(agent === undefined ? {} : { agent }),
    ...(ca === undefined ? {} : { ca }),
  };
  // It implements the platform's interface, and more.
  return (target) => new NodeWebSocket(target, options) as unknown as WebSocket;
}
