/** The socket side of HTTP: limits and timeouts against clients that are slow, silent or never stop. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { ServerConfig } from './config.ts';

/** The whole head of a request must be here within this time, in ms. */
const HEADERS_MS = 15_000;
/** The whole request: the largest body over a slow line. */
const REQUEST_MS = 300_000;
/** Longer than the minute for which proxies keep idle connections, so that they never use one that is just closing. */
const KEEP_ALIVE_MS = 75_000;

/** A plain server, or one that speaks TLS where a certificate is configured. */
export function createHttpServer(config: ServerConfig, handler: RequestListener): Server {
  const options: ServerOptions = {
    noDelay: true,
    keepAlive: true,
    maxHeaderSize: config.maxHeaderBytes,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5000,
    // Some clients offer HTTP/2 with every plain request; they get the ordinary answer, not an agent's door.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
  };
  const certificate = readCertificate(config);
  return certificate === undefined
    ? createServer(options, handler)
    : createSecureServer({ ...options, ...certificate, minVersion: 'TLSv1.2' }, handler);
}

/** Reads the certificate and its key; `undefined` where none is configured. */
export function readCertificate(config: ServerConfig): { cert: Buffer; key: Buffer } | undefined {
  if (config.tlsCert === undefined || config.tlsKey === undefined) return undefined;
  return { cert: readFileSync(config.tlsCert), key: readFileSync(config.tlsKey) };
}
