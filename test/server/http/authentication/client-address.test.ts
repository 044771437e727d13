import type { IncomingMessage } from 'node:http';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { upgradeAddress } from '../../../../src/server/http/authentication/client-address.ts';
import { readTrustedProxies } from '../../../../src/server/trusted-proxies.ts';

test.each([
  [undefined, '10.0.0.1', '192.0.2.7', '10.0.0.1'],
  ['1', '10.0.0.1', undefined, '10.0.0.1'],
  ['1', '10.0.0.1', '192.0.2.7', '192.0.2.7'],
  ['1', '10.0.0.1', '203.0.113.9, 192.0.2.7', '192.0.2.7'],
  ['2', '10.0.0.1', '203.0.113.9, 192.0.2.7', '203.0.113.9'],
  ['10.0.0.0/8', '10.0.0.1', '203.0.113.9, 192.0.2.7, 10.0.0.2', '192.0.2.7'],
  ['10.0.0.0/8', '192.0.2.7', '203.0.113.9', '192.0.2.7'],
  ['10.0.0.0/8', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
])(
  'trusting %s, an upgrade from %s for %s comes from %s, as a request does',
  async (setting, remoteAddress, forwarded, client) => {
    const isTrusted = readTrustedProxies(setting);
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    expect(upgradeAddress({ socket: { remoteAddress }, headers } as IncomingMessage, isTrusted)).toBe(client);
    await using app = Fastify({ trustProxy: isTrusted ?? false });
    app.get('/', async ({ ip }) => ip);
    expect((await app.inject({ url: '/', remoteAddress, headers })).body).toBe(client);
  },
);
