/** The proxies of callbacks, from the variables that curl reads. */
import { type ProxySelection, readProxies } from '../../../node/proxy.ts';

/** Reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. Throws ConfigError if a proxy is not a URL. */
export function readCallbackProxies(env: Readonly<Partial<Record<string, string>>> = process.env): ProxySelection {
  return readProxies(env);
}
