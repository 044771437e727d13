import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { readServerConfig } from '../../../../src/server/config.ts';
import { startServer } from '../../../../src/server/main.ts';
import { ADMIN_KEY, httpFixture, MACHINE } from '../http-fixture.ts';

const fixture = (name: string) => new URL(`../../fixtures/${name}`, import.meta.url);

/** The status of GET /healthz, with only this certificate trusted. */
function health(url: string, certificate: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { ca: readFileSync(fixture(certificate)), agent: false } as const;
    get(`${url}/healthz`, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject);
  });
}

test('a server with a certificate speaks HTTPS, and loads a new one without a restart', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'execplane-tls-'));
  const tlsCert = join(dir, 'cert.pem');
  const tlsKey = join(dir, 'key.pem');
  const install = (prefix: string): void => {
    copyFileSync(fixture(`${prefix}cert.pem`), tlsCert);
    copyFileSync(fixture(`${prefix}key.pem`), tlsKey);
    chmodSync(tlsKey, 0o600);
  };
  install('test-only-');
  const config = readServerConfig({ dataDir: dir, port: '0', tlsCert, tlsKey }, {});
  const server = await startServer(config, pino({ level: 'silent' }));
  try {
    expect(server.url).toMatch(/^https:/);
    expect(await health(server.url, 'test-only-cert.pem')).toBe(200);
    install('other-test-only-');
    server.reloadCertificate();
    expect(await health(server.url, 'other-test-only-cert.pem')).toBe(200);
    await expect(health(server.url, 'test-only-cert.pem')).rejects.toThrow();
    copyFileSync(fixture('test-only-key.pem'), tlsKey);
    server.reloadCertificate();
    expect(await health(server.url, 'other-test-only-cert.pem')).toBe(200);
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true });
  }
});

test('a connection that sends nothing does not delay the stop', async () => {
  await using http = await httpFixture();
  const { port, hostname } = new URL(await http.listen());
  const socket = connect(Number(port), hostname);
  await once(http.app.server, 'connection');
  const closed = once(socket, 'close');
  await http.app.close();
  await closed;
});

test('slow clients have time limits, and idle connections are kept longer than proxies keep them', async () => {
  await using http = await httpFixture();
  const { server } = http.app;
  expect(server.headersTimeout).toBe(15_000);
  expect(server.requestTimeout).toBe(300_000);
  expect(server.keepAliveTimeout).toBeGreaterThan(60_000);
});

test.each([
  [undefined, '203.0.113.9', '127.0.0.1'],
  ['false', '203.0.113.9', '127.0.0.1'],
  ['1', '203.0.113.9', '203.0.113.9'],
  // The proxy appends the address of the client to the address that the client has sent.
  ['1', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
  ['2', '6.6.6.6, 203.0.113.9, 10.1.1.1', '203.0.113.9'],
  ['127.0.0.0/8', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
  ['127.0.0.1,10.0.0.0/8', '6.6.6.6, 203.0.113.9, 10.1.1.1', '203.0.113.9'],
  ['10.0.0.0/8', '203.0.113.9', '127.0.0.1'],
])('with trustProxy %s, X-Forwarded-For %s is %s in the audit trail', async (trustProxy, forwarded, source) => {
  await using http = await httpFixture({ config: trustProxy === undefined ? {} : { trustProxy } });
  const headers = { 'x-forwarded-for': forwarded };
  await http.call('POST', '/v1/join-tokens', { body: {}, headers });
  const audit = await http.call('GET', '/v1/audit');
  expect(audit.body.items).toMatchObject([{ source }]);
});

test.each([
  ['with a Content-Length', 'Content-Length: 4000000\r\n', (body: string) => body],
  [
    'in chunks',
    'Transfer-Encoding: chunked\r\n',
    (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  ],
])(
  'a body that is too large, %s, is read to its end, so that its sender gets the answer',
  async (_name, head, frame) => {
    await using http = await httpFixture({ config: { maxBodyBytes: '1024' } });
    const { port, hostname } = new URL(await http.listen());
    const socket = connect(Number(port), hostname);
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      socket.emit('heard');
    });
    const hear = async (line: string): Promise<void> => {
      while (!heard.includes(line)) await once(socket, 'heard');
    };
    const framed = frame('x'.repeat(4_000_000));
    const key = `Authorization: Bearer ${ADMIN_KEY}\r\nContent-Type: application/json\r\n`;
    socket.write(`POST /v1/machines/${MACHINE}/executions HTTP/1.1\r\nHost: x\r\n${key}${head}\r\n`);
    socket.write(framed.slice(0, 2000));
    await hear('HTTP/1.1 413');
    socket.write(framed.slice(2000));
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await hear('HTTP/1.1 200');
    await once(socket, 'close');
  },
);
