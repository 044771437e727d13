/** Contract §4: interaction with a running command: stdin, signals, users, callbacks. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireProblem } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_ALLOW_PRIVATE_CALLBACKS: 'true' } });
});
afterAll(() => deployment.dispose());

const post = (id: string, bytes: Buffer | string, query: Record<string, string | number | boolean> = {}) =>
  deployment.client.request<WireProblem & { offset?: number }>('POST', deployment.machine.at(id, '/stdin'), {
    body: Buffer.from(bytes),
    query,
    headers: { 'content-type': 'application/octet-stream' },
  });

async function open(command: string[]): Promise<string> {
  const { execution_id } = await deployment.machine.create({ command, stdin_open: true });
  return execution_id;
}

describe('stdin_open', () => {
  test('each piece arrives as it is sent, and close ends the input', async () => {
    const id = await open(['/bin/sh', '-c', 'echo ready; cat; echo eof']);
    await deployment.machine.printed(id, 'ready');
    expect((await post(id, 'one ')).status).toBe(200);
    await deployment.machine.printed(id, 'one ');
    expect((await post(id, 'two', { close: true })).status).toBe(200);
    expect(await deployment.machine.ended(id)).toMatchObject({ status: 'succeeded' });
    expect((await deployment.machine.output(id)).stdout).toBe('ready\none twoeof\n');
  });

  test('a retry at the same offset writes nothing twice', async () => {
    const id = await open(['/bin/cat']);
    for (const _ of [1, 2, 3]) expect((await post(id, 'abcdef', { offset: 0 })).status).toBe(200);
    expect((await post(id, 'defghi', { offset: 3 })).status).toBe(200);
    for (const _ of [1, 2]) await post(id, '', { offset: 9, close: true });
    await deployment.machine.ended(id);
    expect((await deployment.machine.output(id)).stdout).toBe('abcdefghi');
  });

  test('an offset past the written bytes is refused', async () => {
    const id = await open(['/bin/cat']);
    expect((await post(id, 'x', { offset: 5 })).status).toBeOneOf([409, 422]);
    await post(id, 'ok', { offset: 0, close: true });
    await deployment.machine.ended(id);
    expect((await deployment.machine.output(id)).stdout).toBe('ok');
  });

  test('input gets 409 INVALID_STATE if stdin is not open', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/sleep', '600'] });
    const never = await post(execution_id, 'x');
    expect([never.status, never.json.error_code]).toEqual([409, 'INVALID_STATE']);
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
    const id = await open(['/bin/cat']);
    await post(id, 'x', { close: true });
    await deployment.machine.ended(id);
    const over = await post(id, 'more');
    expect([over.status, over.json.error_code]).toEqual([409, 'INVALID_STATE']);
  });

  test('megabytes in pieces reach a command that reads slowly byte for byte', async () => {
    const id = await open([
      '/bin/sh',
      '-c',
      'while head -c 100000 > /tmp/$EXECUTION_ID.piece && [ -s /tmp/$EXECUTION_ID.piece ]; do wc -c < /tmp/$EXECUTION_ID.piece; done; rm /tmp/$EXECUTION_ID.piece',
    ]);
    const piece = Buffer.alloc(250_000, 'p');
    let offset = 0;
    for (let n = 0; n < 12; n += 1) {
      const answer = await post(id, piece, { offset, close: n === 11 });
      expect(answer.status).toBe(200);
      offset += piece.length;
    }
    await deployment.machine.ended(id);
    const total = (await deployment.machine.output(id)).stdout
      .trim()
      .split('\n')
      .reduce((sum, line) => sum + Number(line), 0);
    expect(total).toBe(3_000_000);
  });

  test('stdin_open together with stdin gets 422', async () => {
    const answer = await deployment.client.request('POST', deployment.machine.path, {
      body: { command: ['/bin/cat'], stdin: 'x', stdin_open: true },
    });
    expect(answer.status).toBe(422);
  });

  test('a command that exits by itself ends although its stdin is open', async () => {
    const { execution_id } = await deployment.machine.create({ command: ['/bin/true'], stdin_open: true });
    expect(await deployment.machine.ended(execution_id)).toMatchObject({ status: 'succeeded' });
  });
});

describe('POST …/signal', () => {
  const signal = (id: string, name: unknown) =>
    deployment.client.request<{ status: string }>('POST', deployment.machine.at(id, '/signal'), {
      body: { signal: name },
    });

  test('a signal is sent to the process group, and the answer is the Execution', async () => {
    const { execution_id: id } = await deployment.machine.create({
      command: [
        '/bin/sh',
        '-c',
        "trap 'echo hup; exit 0' HUP; (trap 'echo child hup; exit' HUP; echo child; while :; do sleep 0.05; done) & echo ready; while :; do sleep 0.05; done",
      ],
    });
    await deployment.machine.printed(id, 'child\n');
    await deployment.machine.printed(id, 'ready');
    const answer = await signal(id, 'SIGHUP');
    expect(answer.status).toBe(200);
    expect(answer.json.status).toBeOneOf(['running', 'succeeded']);
    expect(await deployment.machine.ended(id)).toMatchObject({ status: 'succeeded', exit_code: 0 });
    expect((await deployment.machine.output(id)).stdout).toContain('hup\n');
  });

  test('a command that the signal ends is signaled', async () => {
    const { execution_id: id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(id, 'ready');
    await signal(id, 'SIGUSR1');
    expect(await deployment.machine.ended(id)).toMatchObject({ status: 'failed', error_code: 'signaled', signal: 10 });
  });

  test('a signal after the end changes nothing', async () => {
    const ended = await deployment.machine.run({ command: ['/bin/true'] });
    const answer = await signal(ended.execution_id, 'SIGKILL');
    expect([answer.status, answer.json]).toEqual([200, ended]);
  });

  test.each(['SIGNOPE', 'hup', '', 9, null])('the unknown signal %j gets 422', async (name) => {
    const ended = await deployment.machine.run({ command: ['/bin/true'] });
    expect((await signal(ended.execution_id, name)).status).toBe(422);
  });
});

describe('user', () => {
  test('an unknown user fails with user_not_found', async () => {
    const execution = await deployment.machine.run({ command: ['/bin/true'], user: 'no-such-user-here' });
    expect(execution.status).toBe('failed');
    expect(execution.error_code).toBeOneOf(['user_not_found', 'policy_denied']);
  });

  test.runIf(process.getuid?.() === 0)(
    'a command runs as that user if the policy allows it; otherwise the error names the rule',
    async () => {
      const execution = await deployment.machine.run({ command: ['/usr/bin/id', '-un'], user: 'nobody', cwd: '/' });
      if (execution.error_code === 'policy_denied') expect(execution.error_message).toMatch(/\S/);
      else expect((await deployment.machine.output(execution.execution_id)).stdout).toBe('nobody\n');
    },
  );
});

/** The signature of the Standard Webhooks specification: HMAC-SHA256 of id, timestamp and body with the decoded secret. */
function signatureOf(headers: IncomingHttpHeaders, body: string): string {
  const secret = readFileSync(join(deployment.server.dataDir, 'webhook.secret'), 'utf8').trim();
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

/** Receives callbacks: refuses the first, and settles `arrived` with the second. */
class Receiver implements AsyncDisposable {
  readonly received: { headers: IncomingHttpHeaders; body: string }[] = [];
  readonly refused = Promise.withResolvers<void>();
  readonly arrived = Promise.withResolvers<void>();
  readonly #server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    this.received.push({ headers: request.headers, body });
    const isFirst = this.received.length === 1;
    response.writeHead(isFirst ? 500 : 204).end((isFirst ? this.refused : this.arrived).resolve);
  });

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook?x=1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('callback_url', () => {
  test('the terminal Execution is POSTed to the URL, signed, and retried', async () => {
    await using receiver = await Receiver.start();
    const execution = await deployment.machine.run({
      command: ['/bin/sh', '-c', 'exit 6'],
      callback_url: receiver.url,
    });
    await receiver.arrived.promise;
    const [first, second] = receiver.received;
    expect(first?.headers['webhook-id']).toBe(second?.headers['webhook-id']);
    for (const { headers, body } of receiver.received) {
      expect(headers['webhook-signature']).toBe(signatureOf(headers, body));
    }
    expect(Number(first?.headers['webhook-timestamp'])).toBeGreaterThan(1_700_000_000);
    expect(JSON.parse(second?.body ?? '')).toEqual(expect.objectContaining({ ...execution }));
  });

  test('a callback that was not accepted before a restart of the server is POSTed after it', async () => {
    await using receiver = await Receiver.start();
    const execution = await deployment.machine.run({ command: ['/bin/true'], callback_url: receiver.url });
    await receiver.refused.promise;
    await deployment.server.stop();
    expect(receiver.received).toHaveLength(1);
    await deployment.server.restart();
    await receiver.arrived.promise;
    const [first, second] = receiver.received;
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(JSON.parse(second?.body ?? '')).toMatchObject({ execution_id: execution.execution_id });
    await deployment.connected();
  });

  test.each(['ftp://x/', 'not a url', 'javascript:alert(1)', '/path'])(
    '%j gets 422 at body.callback_url',
    async (callback_url) => {
      const answer = await deployment.client.request<WireProblem>('POST', deployment.machine.path, {
        body: { command: ['/bin/true'], callback_url },
      });
      expect(answer.status).toBe(422);
      expect(answer.json.errors?.[0]?.location).toBe('body.callback_url');
    },
  );
});
