/**
 * Looks up the names of receivers. A name server that does not answer delays only its own names: getaddrinfo(3), which Node's `lookup` calls,
 * occupies a thread until it gives up, and the whole process has two for it.
 */
import { type LookupAddress, lookup as lookupBySystem, promises as dns } from 'node:dns';
import { isLoopback } from '../../../node/network/loopback.ts';

/** Time limit of one query, ms, and number of attempts. */
const QUERY_TIMEOUT_MS = 4000;
const TRIES = 2;

/** Returns the addresses of a name, from the name servers of this host. `servers`: others, for tests. Rejects if there are none. */
export async function lookUpPublicHost(
  hostname: string,
  { signal, servers }: { signal: AbortSignal; servers?: readonly string[] },
): Promise<LookupAddress[]> {
  // RFC 6761: never asked of a name server.
  if (isLoopback(hostname)) return [{ address: '127.0.0.1', family: 4 }];
  // A new one each time, because it reads the name servers of the host only when it is made.
  const resolver = new dns.Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const [ipv4, ipv6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  signal.removeEventListener('abort', cancel);
  const addresses = [
    ...(ipv4.status === 'fulfilled' ? ipv4.value.map((address) => ({ address, family: 4 })) : []),
    ...(ipv6.status === 'fulfilled' ? ipv6.value.map((address) => ({ address, family: 6 })) : []),
  ];
  if (addresses.length > 0) return addresses;
  throw ipv4.status === 'rejected' ? ipv4.reason : new Error('it has no address');
}

/** The same as programs of this host see it, with /etc/hosts and search domains, for names in private networks. */
export function lookUpAnyHost(hostname: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookupBySystem(hostname, { all: true }, (error, addresses) =>
      error === null ? resolve(addresses) : reject(error),
    );
  });
}
