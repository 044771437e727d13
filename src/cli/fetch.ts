/**
 * `fetch` over node:http with the features that the client library uses. It supports a certificate authority and a proxy of the user, has no
 * list of forbidden ports, and loads in a fraction of the time of the platform's fetch.
 */
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import type { Fetch, HttpRequest, HttpResponse } from '../client/http/transport.ts';
import { proxyFor } from '../node/proxy.ts';
import { type ClientConfig, environment } from './config.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Responses that have no body (Fetch standard, "null body status"). */
const NO_BODY = new Set([204, 205, 304]);

/**
 * Returns a `fetch` for the server at `url`, with its certificate authority and the proxy of the environment. Connections time out after
 * 10 s.
 */
export function fetchFor({ url, ca }: Pick<ClientConfig, 'url' | 'ca'>): Fetch {
  const proxy = proxyFor(url, environment());
  const options = {
    keepAlive: true,
    noDelay: true,
    ...(proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } }),
  };
  // Loading TLS takes as long as starting Node, so it is loaded only for https.
  const https = url.protocol === 'https:' ? process.getBuiltinModule('node:https') : undefined;
  const agent = https ? new https.Agent({ ...options, ...(ca === undefined ? {} : { ca }) }) : new HttpAgent(options);
  const send = https?.request ?? httpRequest;
  return (target, { method, signal, body, headers }) =>
    new Promise((resolve, reject) => {
      const bytes = bytesOf(body);
      const allHeaders = { ...headers, 'content-length': bytes?.length ?? 0 };
      const request = send(target, { method, headers: allHeaders, agent, ...(signal ? { signal } : {}) });
      const timer = setTimeout(() => request.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
      request.once('socket', (socket) => {
        if (socket.connecting) socket.once('connect', () => clearTimeout(timer));
        else clearTimeout(timer);
      });
      request.once('response', (response) => resolve(new HttpAnswer(response)));
      request.on('error', (error) => {
        clearTimeout(timer);
        // Idle connections are as dead as one that was given up.
        if (signal?.aborted) closeIdle(agent);
        reject(error);
      });
      request.end(bytes);
    });
}

function closeIdle({ freeSockets }: HttpAgent): void {
  for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
}

/** Returns the bytes of a body. Bytes are not copied: the caller changes none until the answer has come. */
function bytesOf(body: HttpRequest['body']): Buffer | undefined {
  if (body === undefined) return undefined;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Buffer.from(body);
}

/** A response over node:http. The platform's own class would load its whole fetch, which takes longer than starting Node. */
class HttpAnswer implements HttpResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Pick<Headers, 'get' | 'has'>;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;

  constructor(message: IncomingMessage) {
    this.status = message.statusCode ?? 0;
    this.ok = this.status >= 200 && this.status < 300;
    const headers = message.headersDistinct;
    this.headers = {
      get: (name) => headers[name.toLowerCase()]?.join(', ') ?? null,
      has: (name) => headers[name.toLowerCase()] !== undefined,
    };
    // A broken connection is an error of the body. If the body is not read, the error must not end the process.
    message.on('error', () => {});
    // Reading begins here, so that an unread small body does not keep its connection, and with it the process, alive.
    this.body = NO_BODY.has(this.status) ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>);
    if (this.body === null) message.resume();
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const chunks: Uint8Array[] = [];
    const reader = this.body?.getReader();
    for (;;) {
      const { done = true, value } = (await reader?.read()) ?? {};
      if (done || value === undefined) return new Uint8Array(Buffer.concat(chunks)).buffer;
      chunks.push(value);
    }
  }
}
