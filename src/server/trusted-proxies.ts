/** Reads EXECPLANE_TRUST_PROXY: the proxies whose X-Forwarded-For is trusted. */
import { BlockList, isIP } from 'node:net';
import { ConfigError } from '../node/config-error.ts';

/** Decides whether the proxy at `address`, the `hop`th before the server, is trusted. The nearest one is hop 0. */
export type TrustedProxies = (address: string, hop: number) => boolean;

const MAX_HOPS = 16;

/** Reads the setting. Undefined: no proxy is trusted. Throws ConfigError. */
export function readTrustedProxies(setting: string | undefined): TrustedProxies | undefined {
  if (setting === undefined || setting === 'false') return undefined;
  if (setting === 'true') {
    throw new ConfigError(
      'EXECPLANE_TRUST_PROXY: true would trust any address that a client sends. Give the number of proxies before the server (1), or their addresses (10.0.0.0/8).',
    );
  }
  if (/^[0-9]{1,2}$/.test(setting)) {
    const hops = Number(setting);
    if (hops >= 1 && hops <= MAX_HOPS) return (_address, hop) => hop < hops;
  }
  const addresses = setting.split(',').map((address) => address.trim());
  if (addresses.every(isNetwork)) return inNetworks(addresses);
  throw new ConfigError(
    `EXECPLANE_TRUST_PROXY: must be the number of proxies before the server (1 to ${MAX_HOPS}), or their addresses or networks, not ${JSON.stringify(setting)}`,
  );
}

/** Whether the text is an IP address, or a network in CIDR notation. */
function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
}

function inNetworks(networks: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  }
  return (text) => {
    // A link-local address has a zone, such as %eth0.
    const address = text.replace(/%.*$/, '');
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}
