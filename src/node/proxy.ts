/** Reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as curl does. */
import { BlockList, isIP } from 'node:net';
import { ConfigError } from './config-error.ts';

type Environment = Readonly<Partial<Record<string, string>>>;

/** Returns the proxy for `url`. Undefined if the URL is reached directly. Throws ConfigError if the setting is not a URL. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const scheme = url.protocol.replace(/^ws/, 'http').replace(':', '');
  const [name, text] = firstSet(env, [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`, 'all_proxy', 'ALL_PROXY']);
  if (text === undefined || isExempt(url, firstSet(env, ['no_proxy', 'NO_PROXY'])[1] ?? '')) return undefined;
  const given = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
    throw new ConfigError(`${name}: must be the URL of an HTTP proxy, such as http://proxy.example.com:3128.`);
  }
  return new URL(given);
}

function firstSet(env: Environment, names: readonly string[]): [name: string, value: string | undefined] {
  const name = names.find((one) => env[one]) ?? '';
  return [name, env[name]];
}

/** A host in the list stands for its subdomains too, `*` for every host. Addresses may be ranges (CIDR). */
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
