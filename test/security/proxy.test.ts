/** An agent behind an HTTP proxy enrols and connects through the proxy and opens no other connection. A server posts callbacks through it. */
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readAgentConfig } from '../../src/agent/config.ts';
import { dial } from '../../src/agent/link/connection/dial.ts';
import { enrol } from '../../src/agent/link/enrolment/enrol.ts';
import { type RunningServer, readServerConfig, startServer } from '../../src/server/main.ts';

const log = pino({ level: 'silent' });
const fixture = (path: string) => new URL(`../server/fixtures/${path}`, import.meta.url).pathname;
const ADMIN_KEY = 'admin-key-of-this-test';
const CREDENTIALS = 'user:pass word';

let dir: string;
let server: RunningServer | undefined;
let proxy: Server | undefined;
/** The requests to the proxy, and their credentials. */
let asked: string[];
const sockets = new Set<Socket>();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-proxy-'));
  asked = [];
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  proxy?.close();
  proxy?.closeAllConnections();
  await server?.stop();
  proxy = undefined;
  server = undefined;
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

/** A proxy that connects every name to the server, and refuses clients without the right credentials. */
async function startProxy(url: string): Promise<string> {
  const port = Number(new URL(url).port);
  const expected = `Basic ${Buffer.from(CREDENTIALS).toString('base64')}`;
  const made = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const { pathname } = new URL(request.url ?? '');
    const { method, headers } = request;
    const onward = httpRequest({ host: '127.0.0.1', port, path: pathname, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  proxy = made;
  made.on('connect', (request, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (request.headers['proxy-authorization'] !== expected) {
      socket.end('HTTP/1.1 407 No\r\n\r\n');
      return;
    }
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Fine\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    for (const one of [socket, onward]) sockets.add(one.on('error', () => {}));
  });
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  return `127.0.0.1:${(made.address() as AddressInfo).port}`;
}

test.each(['http', 'https'])('an agent enrols and connects through the proxy over %s', async (scheme) => {
  const tlsKey = join(dir, 'tls.key');
  copyFileSync(fixture('test-only-key.pem'), tlsKey);
  chmodSync(tlsKey, 0o600);
  const tls = scheme === 'https' ? { tlsCert: fixture('test-only-cert.pem'), tlsKey } : {};
  server = await startServer(readServerConfig({ dataDir: join(dir, 'data'), port: '0', ...tls }, {}), log);
  const [user, password] = CREDENTIALS.split(':');
  const at = `http://${user}:${encodeURIComponent(password ?? '')}@${await startProxy(server.url)}`;
  const caFile = fixture('test-only-cert.pem');
  // Only the proxy can resolve this name.
  const name = scheme === 'https' ? '127.0.0.1' : 'execplane.invalid';
  const settings = { url: `${scheme}://${name}:4`, insecure: 'true', ...(scheme === 'https' ? { caFile } : {}) };
  const config = readAgentConfig(settings, { [`${scheme}_proxy`]: at });
  await expect(
    enrol('xpj_unknown', { ...config, dir, log, expectWithin() {}, signal: AbortSignal.timeout(20_000) }),
  ).rejects.toThrow('refuses the join token');
  const socket = dial({ ...config, credential: 'xpa_unknown' });
  const status = await new Promise((resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode));
    socket.on('error', reject);
  }).finally(() => socket.terminate());
  expect(status).toBe(401);
  const enrolled = scheme === 'https' ? `CONNECT ${name}:4` : `POST http://${name}:4/agent/v1/enrol`;
  expect(asked).toEqual([enrolled, `CONNECT ${name}:4`]);
});

test('a server posts callbacks through the proxy of its environment, and does not start if that is not a URL', async () => {
  const config = readServerConfig({ dataDir: join(dir, 'data'), port: '0', apiKey: ADMIN_KEY }, {});
  vi.stubEnv('http_proxy', 'socks5://127.0.0.1:1');
  await expect(startServer(config, log)).rejects.toThrow(/^http_proxy: must be the URL/);
  const arrived = Promise.withResolvers<string>();
  const made = createServer((request, response) => {
    arrived.resolve(`${request.method} ${request.url}`);
    response.end();
  });
  proxy = made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  vi.stubEnv('http_proxy', `http://127.0.0.1:${(made.address() as AddressInfo).port}`);
  vi.stubEnv('no_proxy', '');
  vi.stubEnv('NO_PROXY', '');
  server = await startServer(config, log);
  const { url } = server;
  const call = async (method: string, path: string, body?: object): Promise<Record<string, string>> => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method, headers, body: JSON.stringify(body ?? {}) });
    expect(answer.ok, `${method} ${path}: HTTP ${answer.status}`).toBe(true);
    return (await answer.json()) as Record<string, string>;
  };
  const { machine_id: machineId } = await call('POST', '/v1/machines');
  const executions = `/v1/machines/${machineId}/executions`;
  // Only the proxy can resolve this name.
  const callback = { command: ['true'], callback_url: 'http://hooks.invalid/ended' };
  const { execution_id: id } = await call('POST', executions, callback);
  await call('DELETE', `${executions}/${id}`);
  expect(await arrived.promise).toBe('POST http://hooks.invalid/ended');
});

test('NO_PROXY bypasses the proxy', () => {
  const settings = { url: 'https://execplane.example.com' };
  const env = { HTTPS_PROXY: 'http://proxy.example.com:3128', NO_PROXY: 'localhost,.example.com' };
  expect(readAgentConfig(settings, env).proxy).toBeUndefined();
  expect(readAgentConfig(settings, { ...env, NO_PROXY: '' }).proxy?.href).toBe('http://proxy.example.com:3128/');
});
