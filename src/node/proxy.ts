/**
 * Selects proxies with the rules of curl: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. https and WebSockets use CONNECT, plain http sends
 * the whole URL to the proxy.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { addAbortSignal, type Duplex } from 'node:stream';
import { ConfigError } from './config-error.ts';

/** Loaded on first use, because loading TLS takes as long as starting Node, and would delay each short command of the CLI. */
const https = () => process.getBuiltinModule('node:https');

type Environment = Readonly<Partial<Record<string, string>>>;

/** Returns the proxy for a URL. Undefined if the URL is reached directly. */
export type ProxySelection = (url: URL) => URL | undefined;

/** Returns the proxy for `url`. Undefined if the URL is reached directly. Throws ConfigError if the setting is not a URL. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  return isExempt(url, exceptions(env)) ? undefined : configuredProxy(schemeOf(url), env);
}

/** Reads the proxies for URLs that are not known yet. Throws ConfigError if a setting is not a URL. */
export function readProxies(env: Environment): ProxySelection {
  const proxies = new Map(['http', 'https'].map((scheme) => [scheme, configuredProxy(scheme, env)]));
  const list = exceptions(env);
  return (url) => (isExempt(url, list) ? undefined : proxies.get(schemeOf(url)));
}

function schemeOf({ protocol }: URL): string {
  return protocol.replace(/^ws/, 'http').replace(':', '');
}

function exceptions(env: Environment): string {
  return firstSet(env, ['no_proxy', 'NO_PROXY'])[1] ?? '';
}

function configuredProxy(scheme: string, env: Environment): URL | undefined {
  const [name, text] = firstSet(env, [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`, 'all_proxy', 'ALL_PROXY']);
  if (text === undefined) return undefined;
  const withScheme = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(withScheme) || !/^https?:$/.test(new URL(withScheme).protocol)) {
    throw new ConfigError(`${name}: must be the URL of an HTTP proxy, such as http://proxy.example.com:3128.`);
  }
  return new URL(withScheme);
}

function firstSet(env: Environment, names: readonly string[]): [name: string, value: string | undefined] {
  const name = names.find((candidate) => env[candidate]) ?? '';
  return [name, env[name]];
}

/** Whether a URL is in the list of exceptions. A host includes its subdomains, `*` every host. Addresses may be ranges (CIDR). */
function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const actualPort = port || (/^(https|wss):$/.test(protocol) ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      if (isIP(host) !== 0) return matchesAddress(host, entry.replace(/^\[(.*)\]$/, '$1'));
      const [, name = '', entryPort] = /^\.?([^:]*)(?::(\d+))?$/.exec(entry) ?? [];
      if (entryPort !== undefined && entryPort !== actualPort) return false;
      return name !== '' && (host === name || host.endsWith(`.${name}`));
    });
}

function matchesAddress(host: string, entry: string): boolean {
  const [network = '', bits] = entry.split('/');
  const family = isIP(network);
  if (family === 0 || family !== isIP(host)) return false;
  if (bits === undefined) return network === host;
  const length = Number(bits);
  if (!/^\d{1,3}$/.test(bits) || length > (family === 4 ? 32 : 128)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const networks = new BlockList();
  networks.addSubnet(network, length, type);
  return networks.check(host, type);
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Returns the agent for requests to `url`. Undefined without a proxy. */
export function requestAgent(url: URL, proxy: URL | undefined): HttpAgent | undefined {
  return proxy === undefined ? undefined : proxyAgent(url, proxy);
}

/** The agent for one request to `url` through `proxy`. `signal` also ends a CONNECT without an answer, which the request itself does not. */
export function singleRequestAgent(url: URL, proxy: URL, signal: AbortSignal): HttpAgent {
  const agent = proxyAgent(url, proxy);
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    const socket = connect(...args);
    return socket ? addAbortSignal(signal, socket) : socket;
  };
  return agent;
}

function proxyAgent(url: URL, proxy: URL): HttpAgent {
  // Node's own support reads its proxy from an environment, which is made from the settings.
  const proxyEnv = { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href };
  return url.protocol === 'https:' ? new (https().Agent)({ proxyEnv }) : new HttpAgent({ proxyEnv });
}

/** Returns the agent for a WebSocket to `url`. Undefined without a proxy. */
export function webSocketAgent(url: URL, proxy: URL | undefined): HttpAgent | undefined {
  if (proxy === undefined || url.protocol === 'https:') return requestAgent(url, proxy);
  return new TunnelAgent(proxy);
}

/** An agent that uses CONNECT also for plain http URLs: otherwise a proxy would not forward the upgrade to a WebSocket. */
class TunnelAgent extends HttpAgent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super();
    this.#proxy = proxy;
  }

  override createConnection(
    { host, port }: { host?: string; port?: number | string },
    done: (error: Error | null, socket?: Duplex) => void,
  ): undefined {
    const { protocol, username, password } = this.#proxy;
    const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    const target = `${host?.includes(':') ? `[${host}]` : host}:${port}`;
    const request = (protocol === 'https:' ? https().request : httpRequest)(this.#proxy, {
      method: 'CONNECT',
      path: target,
      agent: false,
      timeout: CONNECT_TIMEOUT_MS,
      headers: {
        host: target,
        ...(username === '' ? {} : { 'proxy-authorization': `Basic ${credentials.toString('base64')}` }),
      },
    });
    request.once('timeout', () => request.destroy(new Error('no answer in time')));
    request.once('error', (cause) => done(new Error(`the proxy ${this.#proxy.host}: ${cause.message}`, { cause })));
    request.once('connect', (response, socket) => {
      socket.setTimeout(0);
      if (response.statusCode === 200) done(null, socket);
      else {
        socket.destroy();
        done(new Error(`the proxy ${this.#proxy.host} answered HTTP ${response.statusCode}`));
      }
    });
    request.end();
  }
}
