import { expect, test } from 'vitest';
import { ConfigError } from '../../src/node/config-error.ts';
import { readTrustedProxies } from '../../src/server/trusted-proxies.ts';

test.each([undefined, 'false'])('%s trusts no proxy', (setting) => {
  expect(readTrustedProxies(setting)).toBeUndefined();
});

test.each([
  ['10.0.0.0/8', '10.1.2.3', true],
  ['10.0.0.0/8', '::ffff:10.1.2.3', true],
  ['10.0.0.0/8', '11.1.2.3', false],
  ['192.0.2.1, fd00::/8', '192.0.2.1', true],
  ['192.0.2.1, fd00::/8', '192.0.2.2', false],
  ['192.0.2.1, fd00::/8', 'fd12::1', true],
  ['fe80::/10', 'fe80::1%eth0', true],
  ['fd00::1', 'fd00::2', false],
  ['0.0.0.0/0', 'unknown', false],
])('with %s a proxy at %s is trusted: %s', (setting, address, trusted) => {
  expect(readTrustedProxies(setting)?.(address, 0)).toBe(trusted);
});

test.each([
  'true',
  '0',
  '17',
  '-1',
  'yes',
  '10.0.0.0/33',
  '10.0.0.0/8/8',
  '10.0.0',
  'proxy.example',
  '10.0.0.1,,',
  '::/129',
])('%s is refused with the name of the setting and a valid example', (setting) => {
  expect(() => readTrustedProxies(setting)).toThrow(ConfigError);
  expect(() => readTrustedProxies(setting)).toThrow(/^EXECPLANE_TRUST_PROXY: .*number of proxies before the server/);
});

test('a number of proxies is counted from the server', () => {
  const isTrusted = readTrustedProxies('2');
  expect([0, 1, 2].map((hop) => isTrusted?.('192.0.2.1', hop))).toStrictEqual([true, true, false]);
});
