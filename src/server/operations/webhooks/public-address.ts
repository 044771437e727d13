/** Checks addresses and names of callbacks. Addresses of the server itself, of its network and of its cloud's metadata service are refused. */
import { BlockList, isIP } from 'node:net';

/**
 * Special-purpose addresses (IANA registries, RFC 6890), and forms of IPv4 addresses in IPv6. Of IPv6 only global unicast (2000::/3) is
 * public. That excludes loopback, private and link-local addresses, multicast, the well-known NAT64 prefixes, and IPv4 addresses that are
 * compatible (::/96), mapped (::ffff:0:0/96) or translated by SIIT (::ffff:0:0:0/96).
 */
const SPECIAL: readonly [network: string, prefix: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // The address at which a virtual machine in Azure reaches its host.
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  // Teredo and other protocol assignments; documentation; 6to4; documentation.
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
/** The last 64 bits of an ISATAP address (RFC 5214), with IPv4 in the last 32, in the spelling of `URL`. */
const ISATAP = /:(?:0|200)?:5efe:[0-9a-f]+:[0-9a-f]+\]$/;

/** A list for each family: in a common list `::ffff:0:0/96` would match every IPv4 address. */
const special = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [network, prefix] of SPECIAL) special[family(network)].addSubnet(network, prefix, family(network));

/** Whether `address` (an IP address, as text) is on the public internet. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0 || address.includes('%')) return false;
  if (special[family(address)].check(address, family(address))) return false;
  return isIP(address) === 4 || !ISATAP.test(new URL(`http://[${address}]`).hostname);
}

/** Names that only the host itself or a private network resolves (RFC 6761, 6762, 8375, and ICANN's `internal`). */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|local|internal|home\.arpa)$/;

/** Whether a host name can be one of the public internet. Names without a dot are those of a search domain or of /etc/hosts. */
export function isPublicName(name: string): boolean {
  const bare = name.toLowerCase().replace(/\.$/, '');
  return bare.includes('.') && !PRIVATE_NAME.test(bare);
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}
