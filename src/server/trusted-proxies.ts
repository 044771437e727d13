/** Reads EXECPLANE_TRUST_PROXY: the proxies whose X-Forwarded-For is trusted. */
import { isIP } from 'node:net';
import { ConfigError } from '../node/config-error.ts';

/** The addresses of the trusted proxies, or a function that decides on the proxy at `address`, the `hop`th before the server. */
type TrustedProxies = ((address: string, hop: number) => boolean) | string[];

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
  if (addresses.every(isNetwork)) return addresses;
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
