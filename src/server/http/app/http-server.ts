/** Creates the HTTP server, with limits and timeouts for clients that are slow, silent or endless. */
import { constants } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer, type ServerOptions as SecureOptions } from 'node:https';
import type { ServerConfig } from '../../config.ts';
import type { SecureContextOptions } from 'node:tls';
import { readCertificates, readKeyPair } from '../../../node/files/pem.ts';

/** Time for which idle connections are kept, ms: longer than the minute of proxies, so that they never use a closing connection. */
const KEEP_ALIVE_MS = 75_000;

/** Creates a plain server, or a TLS server if a certificate is configured. */
export function createHttpServer(config: ServerConfig, handler: RequestListener): Server {
  const options: ServerOptions = {
    noDelay: true,
    // The app answers a request without Host with an error body. Node's own answer is empty.
    requireHostHeader: false,
    keepAlive: true,
    maxHeaderSize: config.maxHeaderBytes,
    headersTimeout: config.headersTimeoutMs,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(5000, config.headersTimeoutMs),
    // Some clients offer HTTP/2 with every plain request. They get an ordinary answer, not that of the agents' endpoint.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
  };
  const context = readSecureContext(config);
  if (context === undefined) return withAllRequests(createServer(options, handler), handler);
  const agentTls = config.agentCa === undefined ? {} : ASK_FOR_CERTIFICATE;
  return withAllRequests(createSecureServer({ ...options, ...context, ...agentTls }, handler), handler);
}

/** Passes requests with an unknown `Expect` to the app, which Node would answer with an empty 417. */
function withAllRequests<S extends Server>(server: S, handler: RequestListener): S {
  return server.on('checkExpectation', handler);
}

/**
 * Requests a client certificate and accepts its absence, and an unknown one: API clients need none. Agents are refused at their endpoint
 * (agents/client-certificate.ts).
 */
const ASK_FOR_CERTIFICATE: SecureOptions = { requestCert: true, rejectUnauthorized: false };

/**
 * Returns all options of the TLS server, also for a reload of its certificate: an option left out falls back to the platform's default.
 * With client certificates no session is resumed, so that each connection is authenticated.
 */
export function readSecureContext(config: ServerConfig): SecureContextOptions | undefined {
  const certificate = readCertificate(config);
  if (certificate === undefined) return undefined;
  const noTickets = config.agentCa === undefined ? {} : { secureOptions: constants.SSL_OP_NO_TICKET };
  return { ...certificate, minVersion: 'TLSv1.2', ...noTickets };
}

/**
 * Returns the certificate, the key and the authority of agents. `undefined` if none is configured. Throws ConfigError for a file that
 * cannot be used.
 */
export function readCertificate(config: ServerConfig): { cert: Buffer; key: Buffer; ca?: Buffer } | undefined {
  const { tlsCert, tlsKey, agentCa } = config;
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return {
    ...readKeyPair({ cert: 'EXECPLANE_TLS_CERT', key: 'EXECPLANE_TLS_KEY' }, { cert: tlsCert, key: tlsKey }),
    ...(agentCa !== undefined && { ca: readCertificates('EXECPLANE_AGENT_CA', agentCa) }),
  };
}
