/**
 * Sends thousands of almost valid requests: built from the existing routes and fields, and valid ones with changed bytes. No answer
 * may be an internal error, each refusal must have the shape of the contract, and a running execution must not be affected.
 */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { checkConformance } from '../helpers/conformance.ts';
import { type RunningTestServer, runningServer } from '../helpers/running-server.ts';
import { ScriptedAgent } from '../helpers/scripted-agent.ts';
import { Bystander } from './bystander.ts';
import { captures, type FuzzRequest, requests } from './http-requests.ts';
import { mutated } from './mutations.ts';
import { announceSeed, HTTP_CASES, SEED } from './seed.ts';

vi.setConfig({ testTimeout: 600_000 });

const AT_ONCE = 20;
const MUTATED = Math.ceil(HTTP_CASES / 5);
const STRUCTURED = HTTP_CASES - MUTATED;
const TIMEOUT_MS = 10_000;

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

const API_CODES = new Set([401, 403, 409, 429, 503]);

/** Expects a status below 500, and for each error the shape of contract §1. */
function expectLawful({ status, headers, body }: Reply, method: string): void {
  expect(status).toBeLessThan(500);
  expect(headers['x-request-id']).toMatch(/^req-/);
  if (status < 400) return;
  expect(headers['x-should-retry']).toMatch(/^(true|false)$/);
  if (headers['x-should-retry'] === 'true') expect(Number(headers['retry-after-ms'])).toBeGreaterThan(0);
  expect(headers['content-type']).toMatch(API_CODES.has(status) ? /^application\/json/ : /^application\/problem\+json/);
  if (method === 'HEAD') return;
  const error = JSON.parse(body) as Record<string, unknown>;
  if (API_CODES.has(status)) {
    expect(error).toMatchObject({ error_code: expect.any(String), message: expect.any(String) });
    expect(error['retryable']).toBe(headers['x-should-retry'] === 'true');
  } else {
    expect(error).toMatchObject({ type: 'about:blank', title: expect.any(String), status, detail: expect.any(String) });
  }
  expect(body).not.toMatch(/\n\s+at |\/src\/|node_modules/);
}

/** Expects an answer that conforms to the OpenAPI document. */
function expectDocumented(
  { status, headers, body }: Reply,
  { method, path }: FuzzRequest,
  { client }: RunningTestServer,
) {
  const header = (name: string) => headers[name]?.toString();
  const answer = { method, path, status, header, ...(body === '' ? {} : { body: Buffer.from(body) }) };
  return checkConformance(answer, async () => (await client.request('GET', '/openapi.json')).json);
}

/** Sends a request. Returns the answer; of a stream only the headers. */
function send(url: string, agent: Agent, { method, path, headers, body }: FuzzRequest): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(url), { method, path, headers, agent, timeout: TIMEOUT_MS }, (response) => {
      const reply = { status: response.statusCode ?? 0, headers: response.headers };
      if (reply.status === 200 && response.headers['content-length'] === undefined) {
        response.destroy();
        resolve({ ...reply, body: '' });
        return;
      }
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve({ ...reply, body: text })).once('error', reject);
    });
    sent.once('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
    sent.once('error', reject);
    sent.end(body);
  });
}

/** Sends bytes. Returns everything that the server sends until it closes. */
function exchange(url: string, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('the server neither answers nor hangs up')));
    socket
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .once('error', (error: NodeJS.ErrnoException) => {
        // The connection was cut while the client was sending.
        if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(Buffer.concat(chunks).toString('latin1'));
        else reject(error);
      });
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.end(bytes);
  });
}

/** Parses the first answer. */
function firstReply(text: string): Reply {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const lines = head.split('\r\n').slice(1);
  const headers = Object.fromEntries(lines.map((line) => [line.split(':')[0]?.toLowerCase(), line.split(': ')[1]]));
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), headers, body };
}

/** Connects a machine whose agent reports exit code 0 for each command. */
async function willingMachine(server: RunningTestServer): Promise<ScriptedAgent> {
  const agent = await ScriptedAgent.join(server.url, await server.machine('dm-fuzz'));
  agent.ws.on('message', () => {
    for (const frame of agent.received.splice(0)) {
      if (frame.type === 'start') agent.report(agent.started(frame.execution_id), agent.ended(frame.execution_id));
    }
  });
  return agent;
}

test('the server survives requests that are almost valid', async () => {
  announceSeed('HTTP', STRUCTURED + MUTATED);
  await using server = await runningServer({ maxBodyBytes: '65536', logLevel: 'info' });
  const agent = await willingMachine(server);
  const bystander = await Bystander.start(server);
  const { key } = await server.client.ask<{ key: string }>('POST', '/v1/api-keys', {
    body: { name: 'fuzz', scopes: ['executions:write', 'machines:read'], machine_ids: ['dm-fuzz'] },
  });
  const { execution_id: known } = await server.client.machine('dm-fuzz').run({ command: ['true'] });
  const connections = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const of = { keys: [server.client.key ?? '', key], executionId: known };
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(requests(of), { minLength: AT_ONCE, maxLength: AT_ONCE }), async (batch) => {
        bystander.print();
        await Promise.all(
          batch.map(async (one) => {
            const reply = await send(server.url, connections, one);
            expectLawful(reply, one.method);
            await expectDocumented(reply, one, server);
          }),
        );
      }),
      { numRuns: STRUCTURED / AT_ONCE, seed: SEED, endOnFailure: true },
    );
    const damaged = mutated(fc.constantFrom(...captures({ key, executionId: known })));
    await fc.assert(
      fc.asyncProperty(fc.array(damaged, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (batch) => {
        bystander.print();
        for (const answer of await Promise.all(batch.map((bytes) => exchange(server.url, bytes)))) {
          if (answer !== '') expectLawful(firstReply(answer), 'GET');
          expect(answer).not.toMatch(/^HTTP\/1\.1 5/m);
        }
      }),
      { numRuns: MUTATED / AT_ONCE, seed: SEED, endOnFailure: true },
    );
  } finally {
    connections.destroy();
  }
  await bystander.expectUnharmed();
  await agent.close();
});
