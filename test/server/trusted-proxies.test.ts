import { expect, test } from 'vitest';
import { ConfigError } from '../../src/node/config-error.ts';
import { readTrustedProxies } from '../../src/server/trusted-proxies.ts';

test.each([
  [undefined, undefined],
  ['false', undefined],
  ['10.0.0.0/8', ['10.0.0.0/8']],
  ['192.0.2.1, fd00::/8', ['192.0.2.1', 'fd00::/8']],
])('%s trusts %j', (setting, proxies) => {
  expect(readTrustedProxies(setting)).toStrictEqual(proxies);
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
  const believed = readTrustedProxies('2');
  if (typeof believed !== 'function') throw new Error('not a function');
  expect([0, 1, 2].map((hop) => believed('192.0.2.1', hop))).toStrictEqual([true, true, false]);
});
