/** Callbacks through an HTTP proxy, with the variables that curl reads. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readCallbackProxies } from '../../../../src/server/operations/webhooks/config.ts';
import { type Delivery, deliver } from '../../../../src/server/operations/webhooks/deliver.ts';
import { startNameServer } from '../../../helpers/name-server.ts';

const REFUSED = { outcome: 'failed', reason: 'the address is not a public one' };
const fixture = (name: string) => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8');

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A receiver that accepts everything, and the bodies that it received. */
async function startReceiver(secure = false) {
  const bodies: string[] = [];
  const tls = { cert: fixture('test-only-cert.pem'), key: fixture('test-only-key.pem') };
  const server = secure ? createSecureServer(tls) : createServer();
  server.on('request', async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()).toString());
    response.writeHead(204).end();
  });
  return { bodies, port: await listening(server) };
}

/** A proxy that connects every name to the port `target`, and the requests to it. */
async function startProxy(target: number) {
  const asked: string[] = [];
  const proxy = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
    const { method, headers } = request;
    const onward = httpRequest({ host: '127.0.0.1', port: target, method, headers });
    onward.once('response', (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 0)));
    request.pipe(onward);
  });
  proxy.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
    const onward = connect(target, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const [one, other] of [[socket, onward] as const, [onward, socket] as const]) {
      one.on('error', () => {}).on('close', () => other.destroy());
    }
  });
  return { asked, url: `http://user:secret@127.0.0.1:${await listening(proxy)}` };
}

const AUTHORIZATION = `Basic ${Buffer.from('user:secret').toString('base64')}`;

type Environment = Parameters<typeof readCallbackProxies>[0];

function post(url: string, env: Environment, more: Partial<Delivery> = {}) {
  const { signal } = new AbortController();
  const proxyFor = readCallbackProxies(env);
  return deliver({ url, headers: {}, body: '{"a":1}', allowPrivate: false, proxyFor, signal, ...more });
}

test('a callback over http goes to the proxy with its whole URL', async () => {
  const receiver = await startReceiver();
  const proxy = await startProxy(receiver.port);
  const { address } = await startNameServer(() => ['93.184.215.14']);
  const env = { HTTP_PROXY: proxy.url };
  expect(await post('http://hooks.example:4/a?b', env, { nameServers: [address] })).toEqual({ outcome: 'delivered' });
  expect(receiver.bodies).toEqual(['{"a":1}']);
  expect(proxy.asked).toEqual([`POST http://hooks.example:4/a?b ${AUTHORIZATION}`]);
});

test('a callback over https goes through CONNECT, and the certificate is that of the receiver', async () => {
  const receiver = await startReceiver(true);
  const proxy = await startProxy(receiver.port);
  const env = { HTTPS_PROXY: proxy.url };
  const untrusted = await post('https://127.0.0.1:4/', env, { allowPrivate: true });
  expect(untrusted).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/self-signed/) });
  const authorities = getCACertificates('default');
  setDefaultCACertificates([fixture('test-only-cert.pem')]);
  onTestFinished(() => setDefaultCACertificates(authorities));
  expect(await post('https://127.0.0.1:4/', env, { allowPrivate: true })).toEqual({ outcome: 'delivered' });
  expect(receiver.bodies).toEqual(['{"a":1}']);
  expect(proxy.asked).toEqual(Array.from({ length: 2 }, () => `CONNECT 127.0.0.1:4 ${AUTHORIZATION}`));
});

test('a host in NO_PROXY is reached directly, and only at a public address', async () => {
  const receiver = await startReceiver();
  const proxy = await startProxy(receiver.port);
  const env = { ALL_PROXY: proxy.url, NO_PROXY: 'internal.example,127.0.0.0/8' };
  const direct = await post(`http://127.0.0.1:${receiver.port}/`, env, { allowPrivate: true });
  expect(direct).toEqual({ outcome: 'delivered' });
  const { address } = await startNameServer(() => ['127.0.0.1']);
  const url = `http://a.internal.example:${receiver.port}/`;
  expect(await post(url, env, { nameServers: [address] })).toEqual(REFUSED);
  expect(receiver.bodies).toHaveLength(1);
  expect(proxy.asked).toEqual([]);
});

describe('hosts that are not public', () => {
  const addresses: Record<string, string[]> = {
    'private.example': ['10.1.2.3'],
    'mixed.example': ['93.184.215.14', '169.254.169.254'],
  };

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://[::1]/',
    'https://10.0.0.7/',
    'http://localhost/',
    'http://localhost./',
    'http://a.localhost/',
    'https://metadata.google.internal/',
    'http://printer.local/',
    'http://nas.home.arpa/',
    'http://database:5432/',
    'https://private.example/',
    'http://mixed.example/',
  ])('%s: the proxy is not asked', async (url) => {
    const proxy = await startProxy(1);
    const { address } = await startNameServer((name) => addresses[name] ?? []);
    expect(await post(url, { all_proxy: proxy.url }, { nameServers: [address] })).toEqual(REFUSED);
    expect(proxy.asked).toEqual([]);
  });
});

test.each([
  ['is unknown to', []],
  ['gets no answer from', undefined],
])('a name that %s the name servers of the server is left to the proxy', async (_, answer) => {
  const receiver = await startReceiver();
  const proxy = await startProxy(receiver.port);
  const { address, asked } = await startNameServer(() => answer);
  const result = await post('http://hooks.example/', { http_proxy: proxy.url }, { nameServers: [address] });
  expect(result).toEqual({ outcome: 'delivered' });
  expect(asked).toContain('hooks.example');
  expect(proxy.asked).toHaveLength(1);
});

test('a proxy that refuses is a failed attempt, whose reason names no password', async () => {
  const proxy = createServer();
  proxy.on('connect', (_, socket: Socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
  const env = { HTTPS_PROXY: `http://user:secret@127.0.0.1:${await listening(proxy)}` };
  const result = await post('https://93.184.215.14/', env);
  expect(result).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/403 Forbidden/) });
  expect(JSON.stringify(result)).not.toMatch('secret');
});

test('the end of an attempt closes a connection to a proxy that does not answer', async () => {
  const proxy = createServer();
  const closed = new Promise<void>((resolve) => {
    proxy.on('connect', (_, socket: Socket) => {
      socket.on('error', () => {}).on('end', () => resolve(void socket.end()));
      socket.resume();
      ending.abort();
    });
  });
  const ending = new AbortController();
  const env = { HTTPS_PROXY: `http://127.0.0.1:${await listening(proxy)}` };
  expect(await post('https://93.184.215.14/', env, { signal: ending.signal })).toMatchObject({ outcome: 'failed' });
  await closed;
});

test('a proxy that is not a URL stops the start', () => {
  expect(() => readCallbackProxies({ HTTPS_PROXY: 'socks5://proxy.example' })).toThrow(/^HTTPS_PROXY: must be the URL/);
});
