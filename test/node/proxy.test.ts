/** The proxy for a URL, with the rules of curl. */
import { describe, expect, test } from 'vitest';
import { proxyFor } from '../../src/node/proxy.ts';

const PROXY = 'http://proxy.example:3128/';

function proxy(url: string, env: Record<string, string>): string | undefined {
  return proxyFor(new URL(url), env)?.href;
}

describe('the variable', () => {
  test.each([
    ['http://a.example', { http_proxy: PROXY }],
    ['http://a.example', { HTTP_PROXY: PROXY }],
    ['https://a.example', { HTTPS_PROXY: PROXY, HTTP_PROXY: 'http://other' }],
    ['wss://a.example', { https_proxy: PROXY, HTTPS_PROXY: 'http://other' }],
    ['ws://a.example', { http_proxy: 'proxy.example:3128' }],
    ['https://a.example', { all_proxy: PROXY }],
    ['http://127.0.0.1:7411', { HTTP_PROXY: PROXY }],
  ])('%s with %j uses the proxy', (url, env) => expect(proxy(url, env)).toBe(PROXY));

  test.each([
    ['https://a.example', { HTTP_PROXY: PROXY }],
    ['http://a.example', { HTTP_PROXY: '' }],
    ['http://a.example', {}],
  ])('%s with %j connects directly', (url, env) => expect(proxy(url, env)).toBeUndefined());

  test.each(['socks5://proxy.example', 'http://'])('%s is refused with the name of the variable', (value) => {
    expect(() => proxy('https://a.example', { HTTPS_PROXY: value })).toThrow(/^HTTPS_PROXY: must be the URL/);
  });
});

describe('NO_PROXY', () => {
  test.each([
    ['http://a.example', '*'],
    ['http://a.example', 'example'],
    ['http://a.example', '.a.example'],
    ['http://A.example:8080', 'other, a.example:8080'],
    ['https://a.example', 'a.example:443'],
    ['http://127.0.0.1:7411', '127.0.0.1'],
    ['http://10.1.2.3', '10.0.0.0/8'],
    ['http://[::1]:7411', '[::1]'],
    ['http://[fd00::7]', 'fd00::/8'],
  ])('%s with %s connects directly', (url, list) => {
    expect(proxy(url, { http_proxy: PROXY, https_proxy: PROXY, NO_PROXY: list })).toBeUndefined();
  });

  test.each([
    ['http://example.org', 'example'],
    ['http://notexample', 'example'],
    ['http://a.example', 'a.example:8080'],
    ['http://11.1.2.3', '10.0.0.0/8'],
    ['http://10.1.2.3', '10.1.2'],
    ['http://[fe00::7]', 'fd00::/8'],
    ['http://a.example', ''],
  ])('%s with %j uses the proxy', (url, list) => {
    expect(proxy(url, { http_proxy: PROXY, no_proxy: list })).toBe(PROXY);
  });
});
