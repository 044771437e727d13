import { WebSocket } from 'ws';
import { AGENT_PATHS } from '../../../core/protocol.ts';
import { isLoopback } from '../../../node/network/loopback.ts';
import type { AgentTls } from '../../config.ts';
import { webSocketAgent } from '../../../node/proxy.ts';

export interface DialOptions {
  url: URL;
  credential: string;
  tls: AgentTls;
  proxy?: URL | undefined;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Maximum size of a message, for a faulty server. The largest valid frame depends on the server's settings. */
const MAX_MESSAGE_BYTES = 1024 ** 3 - 64;

/** Starts to connect to the server's agent endpoint. ws itself sets TCP_NODELAY. */
export function dial({ url, credential, tls, proxy }: DialOptions): WebSocket {
  const target = agentUrl(url, AGENT_PATHS.link);
  target.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const agent = webSocketAgent(url, proxy);
  return new WebSocket(target, {
    ...(agent === undefined ? {} : { agent }),
    headers: { authorization: `Bearer ${credential}` },
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    ...(needsMask(url) ? {} : { generateMask: (mask: Buffer) => mask.fill(0) }),
    ...tls,
  });
}

/**
 * Whether messages need a mask, which keeps a proxy without WebSocket support from taking them for HTTP (RFC 6455 §10.3). Bytes within TLS or
 * on the same machine pass no such proxy: with a mask of zeros, ws saves both sides two passes over each byte.
 */
function needsMask({ protocol, hostname }: URL): boolean {
  return protocol !== 'https:' && !isLoopback(hostname);
}

/** Returns the address of an agent path under a base URL that may have a path itself (behind a proxy). */
export function agentUrl(base: URL, path: string): URL {
  return new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base);
}
