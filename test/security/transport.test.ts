/** Transport security: unencrypted connections, trusted certificates, and headers for browsers. */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { type AgentTls, readAgentConfig } from '../../src/agent/config.ts';
import { dial } from '../../src/agent/link/connection/dial.ts';
import { enrol } from '../../src/agent/link/enrolment/enrol.ts';
import { readClientConfig } from '../../src/cli/config.ts';
import { type RunningServer, readServerConfig, startServer } from '../../src/server/main.ts';
import { httpFixture, MACHINE } from '../server/http/http-fixture.ts';

const log = pino({ level: 'silent' });
const ca = read('../server/fixtures/test-only-cert.pem');
const own = { cert: read('fixtures/test-only-agent-cert.pem'), key: read('fixtures/test-only-agent-key.pem') };
/** A certificate of an authority that the server does not trust. */
const foreign = {
  cert: read('../server/fixtures/other-test-only-cert.pem'),
  key: read('../server/fixtures/other-test-only-key.pem'),
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-transport-'));
  return () => rmSync(dir, { recursive: true, force: true });
});

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

async function secureServer(settings: Record<string, string>): Promise<RunningServer> {
  const tlsKey = join(dir, 'tls.key');
  copyFileSync(new URL('../server/fixtures/test-only-key.pem', import.meta.url), tlsKey);
  chmodSync(tlsKey, 0o600);
  const tlsCert = new URL('../server/fixtures/test-only-cert.pem', import.meta.url).pathname;
  const flags = { dataDir: join(dir, 'data'), port: '0', tlsCert, tlsKey, ...settings };
  return startServer(readServerConfig(flags, {}), log);
}

/** Sends an API request. Returns the status and the JSON. */
function ask(server: RunningServer, method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const headers = { authorization: `Bearer ${server.adminKey.key}`, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { method, headers, ca, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve([response.statusCode ?? 0, JSON.parse(text)]));
    });
    sent.once('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Whether a TLS 1.2 connection gets a session ticket, which permits to resume the session. */
function isGivenTicket(server: RunningServer): Promise<boolean> {
  const { port, hostname } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ca, maxVersion: 'TLSv1.2' }, () => {
      resolve(socket.getTLSTicket() !== undefined);
      socket.destroy();
    }).once('error', reject);
  });
}

test('connections with a client certificate are never resumed, not even after the certificate is reloaded', async () => {
  const agentCa = new URL('fixtures/test-only-agent-ca.pem', import.meta.url).pathname;
  const server = await secureServer({ agentCa });
  try {
    expect(await isGivenTicket(server)).toBe(false);
    server.reloadCertificate();
    expect(await isGivenTicket(server)).toBe(false);
  } finally {
    await server.stop();
  }
  const plain = await secureServer({});
  try {
    expect(await isGivenTicket(plain)).toBe(true);
  } finally {
    await plain.stop();
  }
});

/** Opens a WebSocket. Returns 101 or the status of the refusal. */
function linkStatus(server: RunningServer, credential: string, tls: AgentTls): Promise<number> {
  const ws: WebSocket = dial({ url: new URL(server.url), credential, tls });
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(101));
    ws.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    ws.on('error', reject);
  }).finally(() => ws.terminate()) as Promise<number>;
}

test('a stolen credential or token is useless without a certificate, if agents need one', async () => {
  const agentCa = new URL('fixtures/test-only-agent-ca.pem', import.meta.url).pathname;
  const server = await secureServer({ agentCa });
  try {
    // Clients of the API need none.
    const [status, made] = await ask(server, 'POST', '/v1/join-tokens', {});
    expect(status).toBe(200);
    const { token } = made as { token: string };
    const join = (tls: AgentTls) =>
      enrol(token, {
        url: new URL(server.url),
        dir,
        log,
        tls,
        expectWithin() {},
        signal: new AbortController().signal,
      });
    await expect(join({ ca })).rejects.toThrow('client certificate');
    await expect(join({ ca, ...foreign })).rejects.toThrow('client certificate');
    const { credential } = await join({ ca, ...own });
    expect(await linkStatus(server, credential, { ca })).toBe(403);
    expect(await linkStatus(server, credential, { ca, ...foreign })).toBe(403);
    expect(await linkStatus(server, credential, { ca, ...own })).toBe(101);
    // A new server certificate does not change the requirement.
    server.reloadCertificate();
    expect(await linkStatus(server, credential, { ca })).toBe(403);
    expect(await linkStatus(server, credential, { ca, ...own })).toBe(101);
  } finally {
    await server.stop();
  }
});

test('an agent does not connect to a server whose certificate it cannot verify', async () => {
  const server = await secureServer({});
  try {
    await expect(linkStatus(server, `xpa_${'a'.repeat(43)}`, {})).rejects.toThrow(/self-signed/);
    await expect(linkStatus(server, `xpa_${'a'.repeat(43)}`, { ca: foreign.cert })).rejects.toThrow();
  } finally {
    await server.stop();
  }
});

test('agents and clients send secrets over plain http only to this host, unless a setting allows more', () => {
  const url = 'http://execplane.example.com';
  expect(() => readAgentConfig({ url }, {})).toThrow('--url: plain http');
  expect(() => readClientConfig({ url, apiKey: 'k' }, {})).toThrow('--url: plain http');
  // A name that only begins or ends like the name of this host is another host.
  expect(() => readAgentConfig({ url: 'http://127.0.0.1.example.com' }, {})).toThrow('plain http');
  expect(() => readClientConfig({ url: 'http://localhost.example.com', apiKey: 'k' }, {})).toThrow('plain http');
  expect(readAgentConfig({ url, insecure: 'true' }, {}).url.href).toBe(`${url}/`);
});

test('a setting that requires certificates without anybody to check them is refused', () => {
  expect(() => readServerConfig({ agentCa: '/ca.pem' }, {})).toThrow('EXECPLANE_AGENT_CA: needs EXECPLANE_TLS_CERT');
  expect(() => readAgentConfig({ tlsCert: new URL(import.meta.url).pathname }, {})).toThrow(
    'a certificate needs its key',
  );
});

test.each<['GET' | 'POST' | 'OPTIONS', string, number]>([
  ['GET', '/healthz', 200],
  ['GET', '/v1/machines', 200],
  ['GET', `/v1/machines/${MACHINE}/executions/none`, 404],
  ['POST', '/v1/api-keys', 422],
  ['OPTIONS', '/v1/machines', 404],
  ['GET', '/nowhere', 404],
  ['GET', '/%', 404],
])('%s %s: browsers do not store, frame or share the answer', async (method, path, status) => {
  await using http = await httpFixture();
  const origin = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
  const answer = await http.call(method, path, { headers: origin, ...(method === 'POST' ? { body: {} } : {}) });
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  });
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
});

test('the documentation page runs only its own script, by its hash, and cannot be framed', async () => {
  await using http = await httpFixture();
  const { headers } = await http.call('GET', '/docs', { key: undefined });
  expect(headers['content-security-policy']).toContain("default-src 'none'");
  expect(headers['content-security-policy']).toMatch(/script-src 'sha256-[\w+/]{43}='(;|$)/);
  expect(headers['content-security-policy']).not.toMatch(/unsafe|https?:|\*/);
  expect(headers['x-frame-options']).toBe('DENY');
});
