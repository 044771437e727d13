/** Connects to the server through an HTTP proxy, as curl does: CONNECT for https and WebSockets, the whole URL for plain http. */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';

const CONNECT_TIMEOUT_MS = 10_000;

/** Returns the agent for requests to `url`. Undefined without a proxy. */
export function requestAgent(url: URL, proxy: URL | undefined): HttpAgent | undefined {
  if (proxy === undefined) return undefined;
  // Node's own support takes its proxy from an environment: it gets one made from the settings.
  const proxyEnv = { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href };
  return url.protocol === 'https:' ? new HttpsAgent({ proxyEnv }) : new HttpAgent({ proxyEnv });
}

/** Returns the agent for a WebSocket to `url`. Undefined without a proxy. */
export function webSocketAgent(url: URL, proxy: URL | undefined): HttpAgent | undefined {
  if (proxy === undefined || url.protocol === 'https:') return requestAgent(url, proxy);
  return new TunnelAgent(proxy);
}

/** A proxy that gets a request for a plain http URL would not pass on the upgrade to a WebSocket. */
class TunnelAgent extends HttpAgent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super();
    this.#proxy = proxy;
  }

  override createConnection(
    { host, port }: { host?: string; port?: number | string },
    done: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const { protocol, username, password } = this.#proxy;
    const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    const target = `${host?.includes(':') ? `[${host}]` : host}:${port}`;
    const request = (protocol === 'https:' ? httpsRequest : httpRequest)(this.#proxy, {
      method: 'CONNECT',
      path: target,
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
      headers: {
        host: target,
        ...(username === '' ? {} : { 'proxy-authorization': `Basic ${credentials.toString('base64')}` }),
      },
    });
    const failed = (error: Error): void => done(error, undefined as unknown as Duplex);
    request.once('timeout', () => request.destroy(new Error('no answer in time')));
    request.once('error', (cause) => failed(new Error(`the proxy ${this.#proxy.host}: ${cause.message}`, { cause })));
    request.once('connect', (response, socket) => {
      socket.setTimeout(0);
      if (response.statusCode === 200) done(null, socket);
      else {
        socket.destroy();
        failed(new Error(`the proxy ${this.#proxy.host} answered HTTP ${response.statusCode}`));
      }
    });
    request.end();
  }
}
