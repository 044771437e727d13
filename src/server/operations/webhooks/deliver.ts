/**
 * Makes one attempt to deliver a callback: one POST, without redirects, to an address that is checked before connecting. A proxy connects to
 * an address that it looks up itself: there the server can check only what it finds for the same name.
 */
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type ProxySelection, singleRequestAgent } from '../../../node/proxy.ts';
import { lookUpAnyHost, lookUpPublicHost } from './host-lookup.ts';
import { isPublicAddress, isPublicName } from './public-address.ts';

/** Time limit of an attempt. */
export const MAX_ATTEMPT_MS = 15_000;
/** Time limit of the lookup of a name before a proxy looks it up: a server behind a proxy often has no name server for public names. */
const MAX_CHECK_MS = 2000;

export interface Delivery {
  url: string;
  headers: Record<string, string>;
  body: string;
  /** Whether to deliver also to addresses that are not on the public internet. */
  allowPrivate: boolean;
  proxyFor: ProxySelection;
  signal: AbortSignal;
  /** Name servers instead of those of this host, for tests. */
  nameServers?: readonly string[];
}

export type DeliveryResult =
  | { outcome: 'delivered' }
  /** The receiver refuses the callback for good (410). */
  | { outcome: 'unwanted' }
  | { outcome: 'failed'; reason: string };

/** Posts a callback. Never rejects. Any status but 2xx is a failure, including redirects. */
export async function deliver(delivery: Delivery): Promise<DeliveryResult> {
  const url = URL.parse(delivery.url);
  if (url === null) return { outcome: 'failed', reason: 'not a URL' };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // A literal address is never looked up.
  if (isIP(host) !== 0 && !allowed(host, delivery.allowPrivate)) return { outcome: 'failed', reason: REFUSED };
  try {
    const status = await post(url, delivery);
    if (status >= 200 && status < 300) return { outcome: 'delivered' };
    return status === 410 ? { outcome: 'unwanted' } : { outcome: 'failed', reason: `HTTP ${status}` };
  } catch (cause) {
    return { outcome: 'failed', reason: cause instanceof Error ? cause.message || cause.name : 'unknown' };
  }
}

const REFUSED = 'the address is not a public one';

function allowed(address: string, allowPrivate: boolean): boolean {
  return allowPrivate || isPublicAddress(address);
}

/** Returns the status of the answer. Its body is not read. */
async function post(url: URL, delivery: Delivery): Promise<number> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const signal = AbortSignal.any([delivery.signal, AbortSignal.timeout(MAX_ATTEMPT_MS)]);
  const options: RequestOptions = {
    method: 'POST',
    ...(await routeTo(url, delivery, signal)),
    headers: {
      ...delivery.headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(delivery.body),
    },
    signal,
  };
  return new Promise((resolve, reject) => {
    const request = send(url, options, (response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    request.once('error', reject);
    request.end(delivery.body);
  });
}

/** Returns how to connect: directly, to a checked address, or through the proxy. Rejects if the proxy must not be asked. */
async function routeTo(url: URL, delivery: Delivery, signal: AbortSignal): Promise<RequestOptions> {
  const proxy = delivery.proxyFor(url);
  if (proxy === undefined) return { agent: false, lookup: lookupAllowed(delivery, signal) };
  if (!delivery.allowPrivate) await refusePrivateName(url.hostname, delivery, signal);
  signal.throwIfAborted();
  return { agent: singleRequestAgent(url, proxy, signal) };
}

/** Rejects if a name is a private one, or has an address that is. A name that only the proxy can resolve passes. */
async function refusePrivateName(host: string, { nameServers: servers }: Delivery, ending: AbortSignal): Promise<void> {
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return;
  if (!isPublicName(host)) throw new Error(REFUSED);
  const signal = AbortSignal.any([ending, AbortSignal.timeout(MAX_CHECK_MS)]);
  const found = await lookUpPublicHost(host, { signal, ...(servers && { servers }) }).catch(() => []);
  // The proxy may choose any of them.
  if (!found.every(({ address }) => isPublicAddress(address))) throw new Error(REFUSED);
}

/** Looks up a name and checks its addresses. The connection uses exactly these, so a later lookup cannot return a private one. */
function lookupAllowed({ allowPrivate, nameServers: servers }: Delivery, signal: AbortSignal): LookupFunction {
  return (hostname, options, callback) => {
    const found = allowPrivate
      ? lookUpAnyHost(hostname)
      : lookUpPublicHost(hostname, { signal, ...(servers && { servers }) });
    found.then(
      (addresses) => {
        const usable = addresses.filter(({ address }) => allowed(address, allowPrivate));
        const first = usable[0];
        if (first === undefined) return callback(new Error(REFUSED), []);
        return options.all === true ? callback(null, usable) : callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}
