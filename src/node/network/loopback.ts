import { isIP } from 'node:net';

/** Whether a host name or address, of a URL or a socket, leads to this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  const address = bare.replace(/^::ffff:(?=\d+\.)/, '');
  return isIP(address) === 4 && address.startsWith('127.');
}
