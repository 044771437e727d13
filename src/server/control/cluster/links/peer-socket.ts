/** The sockets between servers: TLS with a key that is derived from the shared secret key, so that each side proves that it has it. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer, type Server, type TlsOptions } from 'node:tls';

const IDENTITY = 'execplane';
/** The other side cannot use a certificate in place of the key, and recorded traffic stays secret if the key leaks later. */
const CIPHER: TlsOptions = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
};
const HANDSHAKE_TIMEOUT_MS = 3000;
const MAX_CONNECTIONS = 256;

/** `HOST:PORT`; an IPv6 address stands in brackets. */
export interface PeerAddress {
  host: string;
  port: number;
}

/** Parses `HOST:PORT`. Undefined if it is malformed. */
export function readPeerAddress(text = ''): PeerAddress | undefined {
  const [, bracketed, name, port] = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:[\]]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? name;
  const number = Number(port);
  return host === undefined || number > 65_535 ? undefined : { host, port: number };
}

/** Listens for other servers. `accepted` gets each connection whose other side has the key. */
export async function listenForPeers(
  { host, port }: PeerAddress,
  key: Buffer,
  accepted: (socket: Socket) => void,
): Promise<Server> {
  const pskCallback = (_socket: Socket, identity: string) => (identity === IDENTITY ? key : null);
  const server = createServer({ ...CIPHER, pskCallback, handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, accepted);
  server.maxConnections = MAX_CONNECTIONS;
  // A connection that has failed its handshake is closed.
  server.on('tlsClientError', () => {});
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

/** The port that it listens on. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Connects to another server. Rejects if it cannot be reached in time, or has another key. */
export async function connectToPeer({ host, port }: PeerAddress, key: Buffer): Promise<Socket> {
  const pskCallback = () => ({ psk: key, identity: IDENTITY });
  // There is no certificate whose name could be checked.
  const socket = connect({ ...CIPHER, host, port, pskCallback, checkServerIdentity: () => undefined });
  const signal = AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS);
  try {
    await once(socket, 'secureConnect', { signal });
    return socket;
  } catch (error) {
    socket.on('error', () => {}).destroy();
    throw error;
  }
}
