/**
 * The protocol of terminals as the official SDK's `TerminalsWS` uses it, with only `fetch` and `ws`, since the package of the SDK is
 * not in all registries. URLs, frames and close codes are literals here, so that an accidental change fails.
 */
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
});
afterAll(() => deployment.dispose());

interface Frame {
  type: string;
  data?: string;
  error_code?: string;
  error_message?: string;
}

interface Terminal {
  terminal_id: string;
  status: string;
  protocol?: string;
  stream_url?: string;
}

const headers = () => ({ authorization: `Bearer ${deployment.server.key}` });

async function request<T>(method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${deployment.server.url}/v1/machines/dm-test/terminals${path}`, {
    method,
    headers: { ...headers(), 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as T;
}

async function readyTerminal(): Promise<Required<Terminal>> {
  let terminal = await request<Terminal>('POST', '', { width: 80, height: 24, shell: '/bin/sh' });
  while (terminal.status === 'wake_in_progress') terminal = await request('GET', `/${terminal.terminal_id}`);
  return terminal as Required<Terminal>;
}

/** A connection that records the received frames. */
class Connection {
  readonly ws: WebSocket;
  readonly frames: Frame[] = [];
  readonly binary: Buffer[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(url: string, options: { headers?: Record<string, string>; protocols?: string[] } = {}) {
    this.ws = new WebSocket(url, options.protocols ?? [], options.headers ? { headers: options.headers } : {});
    this.ws.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.binary.push(data);
      else this.frames.push(JSON.parse(data.toString('utf8')) as Frame);
    });
    this.closed = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  async open(): Promise<this> {
    await once(this.ws, 'open');
    return this;
  }

  /** The data of all `output` frames, in order. */
  get output(): string {
    const pieces = this.frames
      .filter(({ type }) => type === 'output')
      .map(({ data = '' }) => Buffer.from(data, 'base64'));
    return Buffer.concat(pieces).toString('utf8');
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await Promise.race([once(this.ws, 'message'), this.closed.then(() => expect(done()).toBe(true))]);
  }

  input(text: string): void {
    this.ws.send(JSON.stringify({ type: 'input', data: Buffer.from(text).toString('base64') }));
  }
}

test('input and resize are accepted, output is base64, and the end is `closed` and 1000', async () => {
  const terminal = await readyTerminal();
  expect(terminal.protocol).toBe('websocket');
  const connection = await new Connection(terminal.stream_url, { headers: headers() }).open();
  connection.ws.send(JSON.stringify({ type: 'resize', width: 132, height: 50 }));
  connection.input('stty size; printf "gr\\303\\274n\\n"; exit 3\n');
  expect(await connection.closed).toEqual({ code: 1000, reason: 'exit 3' });
  expect(connection.output).toContain('50 132\r\ngrün\r\n');
  expect(connection.binary).toEqual([]);
  expect(connection.frames.at(-1)).toEqual({ type: 'closed' });
  expect(connection.frames.filter(({ type }) => type === 'closed')).toHaveLength(1);
  for (const frame of connection.frames.slice(0, -1)) {
    expect(Object.keys(frame).sort()).toEqual(['data', 'type']);
    expect(Buffer.byteLength(frame.data ?? '', 'base64')).toBeLessThanOrEqual(65_536);
  }
});

test('the reason of the close names the signal that ended the shell', async () => {
  const terminal = await readyTerminal();
  const connection = await new Connection(terminal.stream_url, {
    headers: { 'x-api-key': deployment.server.key },
  }).open();
  connection.input('kill -9 $$\n');
  expect(await connection.closed).toEqual({ code: 1000, reason: 'signal 9' });
});

test('a bad message gets INVALID_MESSAGE; 20 in a row close with 1008, one over 1 MiB with 1009', async () => {
  const { stream_url: url } = await readyTerminal();
  const connection = await new Connection(url, { headers: headers() }).open();
  connection.ws.send('{"type":"output","data":""}');
  await connection.until(() => connection.frames.some(({ type }) => type === 'error'));
  const error = connection.frames.find(({ type }) => type === 'error');
  expect(error).toEqual({ type: 'error', error_code: 'INVALID_MESSAGE', error_message: expect.stringMatching(/\.$/) });
  connection.input('echo aft""er\n');
  await connection.until(() => connection.output.includes('after'));
  for (let count = 0; count < 20; count += 1) connection.ws.send('not JSON');
  expect((await connection.closed).code).toBe(1008);
  const large = await new Connection(url, { headers: headers() }).open();
  large.ws.send(JSON.stringify({ type: 'input', data: 'A'.repeat(1024 * 1024) }));
  expect((await large.closed).code).toBe(1009);
});

test('with ?frames=binary, output and input are bytes, and control messages are text', async () => {
  const { stream_url: url } = await readyTerminal();
  const connection = await new Connection(`${url}?frames=binary`, { headers: headers() }).open();
  connection.ws.send(Buffer.from('printf "\\377\\000\\n"; exit\n'));
  expect(await connection.closed).toEqual({ code: 1000, reason: 'exit 0' });
  expect(Buffer.concat(connection.binary).includes(Buffer.from([0xff, 0, 0x0d, 0x0a]))).toBe(true);
  expect(connection.frames).toEqual([{ type: 'closed' }]);
});

test('a ticket opens the stream once, without a header, for browsers', async () => {
  const { terminal_id: id, stream_url: plain } = await readyTerminal();
  const { stream_url: url } = await request<{ stream_url: string }>('POST', `/${id}/tickets`, {});
  const connection = await new Connection(url).open();
  connection.input('echo by ti""cket\n');
  await connection.until(() => connection.output.includes('by ticket'));
  for (const refused of [url, plain]) {
    const [error] = (await once(new Connection(refused).ws, 'error')) as [Error];
    expect(error.message).toBe('Unexpected server response: 401');
  }
  await request('DELETE', `/${id}`);
  expect((await connection.closed).code).toBe(1000);
});

test('the server chooses no sub-protocol for a client that offers none', async () => {
  const { terminal_id: id, stream_url: url } = await readyTerminal();
  const connection = await new Connection(url, { headers: headers() }).open();
  expect(connection.ws.protocol).toBe('');
  await request('DELETE', `/${id}`);
  expect((await connection.closed).code).toBe(1000);
});

test('the upgrade to a terminal that has ended gets INVALID_STATE as JSON, which no SDK retries', async () => {
  const { terminal_id: id, stream_url: url } = await readyTerminal();
  await request('DELETE', `/${id}`);
  let status = 'ready';
  while (status === 'ready') ({ status } = await request<Terminal>('GET', `/${id}`));
  const { ws } = new Connection(url, { headers: headers() });
  const [, answer] = (await once(ws, 'unexpected-response')) as [
    unknown,
    AsyncIterable<Buffer> & { statusCode: number },
  ];
  expect(answer.statusCode).toBe(409);
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  expect(JSON.parse(Buffer.concat(chunks).toString('utf8'))).toMatchObject({
    error_code: 'INVALID_STATE',
    retryable: false,
    details: { current_status: 'closed', expected_status: 'ready' },
  });
});
