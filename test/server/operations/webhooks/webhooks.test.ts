import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { executionWire } from '../../../../src/server/http/replies/wire.ts';
import { deliver } from '../../../../src/server/operations/webhooks/deliver.ts';
import { isPublicAddress } from '../../../../src/server/operations/webhooks/public-address.ts';
import { freshSecret, signedHeaders } from '../../../../src/server/operations/webhooks/signature.ts';
import { readWebhookSecret, retryDelayMs, Webhooks } from '../../../../src/server/operations/webhooks/webhooks.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { temporaryDirectory } from '../../../helpers/directories.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const DAY_MS = 86_400_000;

interface Post {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver of callbacks that answers with these statuses in turn, and then with 200. */
class Receiver {
  readonly posts: Post[] = [];
  readonly #server: Server;
  #arrived: () => void = () => {};

  private constructor(statuses: number[]) {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        this.posts.push({ headers: request.headers, body });
        response.writeHead(statuses.shift() ?? 200, { location: 'http://127.0.0.1:1/' }).end('thanks');
        this.#arrived();
      });
    });
  }

  static async start(...statuses: number[]): Promise<Receiver> {
    const receiver = new Receiver(statuses);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    onTestFinished(() => void receiver.#server.close());
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async count(posts: number): Promise<void> {
    while (this.posts.length < posts) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}

/** A receiver that accepts connections and never answers. */
class HangingReceiver {
  /** Connections that are open now. */
  open = 0;
  readonly url: string;

  private constructor(server: Server) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    server.on('connection', (socket) => {
      this.open += 1;
      socket
        .on('error', () => {})
        .on('close', () => {
          this.open -= 1;
        });
    });
  }

  static async start(): Promise<HangingReceiver> {
    const server = createServer(() => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return new HangingReceiver(server);
  }
}

/** A plane whose executions have callbacks, on a clock that tests can advance. */
async function calling({ allowPrivate = true, told = true, pollMs = 60_000 } = {}) {
  let webhooks: Webhooks | undefined;
  const plane = await TestPlane.start({ callbackDue: () => told && webhooks?.wake() });
  const clock = { ahead: 0 };
  const secret = freshSecret();
  const warnings: object[] = [];
  webhooks = new Webhooks({
    store: plane.store,
    log: { info: () => undefined, warn: (line: object) => void warnings.push(line) },
    now: () => Date.now() + clock.ahead,
    secret,
    wire: (execution) => executionWire(execution, 1000),
    userAgent: 'execplane/test',
    allowPrivate,
    proxyFor: () => undefined,
    pollMs,
  });
  const started = webhooks;
  onTestFinished(() => started.stop());
  const agent = await ScriptedAgent.join(plane.url, await plane.machine());
  const finish = async (callbackUrl: string, createdBy = 'admin') => {
    const execution = await plane.create({ callbackUrl, createdBy });
    await agent.runNext();
    return plane.end(execution);
  };
  return { plane, webhooks, clock, secret, warnings, finish };
}

test('the terminal Execution is posted once, signed', async () => {
  const receiver = await Receiver.start();
  const { plane, secret, finish } = await calling();
  const ended = await finish(receiver.url);
  await receiver.count(1);
  const { headers, body } = receiver.posts[0] ?? expect.fail('nothing came');
  expect(JSON.parse(body)).toEqual(JSON.parse(JSON.stringify(executionWire(ended, 1000))));
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': ended.executionId });
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${ended.executionId}.${headers['webhook-timestamp']}.${body}`;
  expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  await expect.poll(() => plane.store.nextCallback(), { timeout: 10_000 }).toBeUndefined();
});

test('a refused callback is retried later with the same id; a redirect is not followed', async () => {
  const receiver = await Receiver.start(500, 302);
  const { plane, webhooks, clock, finish } = await calling();
  await finish(receiver.url);
  for (let attempt = 1; attempt < 3; attempt += 1) {
    await receiver.count(attempt);
    // The delivery was postponed, but not longer than permitted.
    await expect
      .poll(async () => ((await plane.store.nextCallback()) ?? 0) - Date.now() - clock.ahead, { timeout: 10_000 })
      .toBeLessThan(retryDelayMs(attempt, 1) + 1);
    clock.ahead += 100_000;
    webhooks.wake();
  }
  await receiver.count(3);
  expect(new Set(receiver.posts.map((post) => post.headers['webhook-id'])).size).toBe(1);
  await expect.poll(() => plane.store.nextCallback(), { timeout: 10_000 }).toBeUndefined();
});

test('a callback is given up after a day, or if the receiver answers 410', async () => {
  const receiver = await Receiver.start(410, 503, 503);
  const { plane, webhooks, clock, warnings, finish } = await calling();
  await finish(receiver.url);
  await expect.poll(() => plane.store.nextCallback(), { timeout: 10_000 }).toBeUndefined();
  await finish(receiver.url);
  await receiver.count(2);
  await expect.poll(() => warnings.length, { timeout: 10_000 }).toBe(2);
  clock.ahead += DAY_MS;
  webhooks.wake();
  await receiver.count(3);
  await expect.poll(() => plane.store.nextCallback(), { timeout: 10_000 }).toBeUndefined();
  expect(warnings).toMatchObject([{ given_up: true }, { given_up: false }, { given_up: true }]);
});

test('more callbacks than fit at once are all delivered', async () => {
  const receiver = await Receiver.start();
  const { finish } = await calling();
  await Promise.all(Array.from({ length: 40 }, () => finish(receiver.url)));
  await receiver.count(40);
  expect(new Set(receiver.posts.map((post) => post.headers['webhook-id'])).size).toBe(40);
});

test('a receiver that hangs delays no other: another key has its callback within 5 s (S11)', async () => {
  const hanging = await HangingReceiver.start();
  const healthy = await Receiver.start();
  const { webhooks, finish } = await calling();
  await Promise.all(Array.from({ length: 64 }, () => finish(hanging.url, 'key-noisy')));
  await expect.poll(() => hanging.open, { timeout: 10_000 }).toBeGreaterThan(0);
  const begun = performance.now();
  await finish(healthy.url, 'key-quiet');
  await healthy.count(1);
  expect(performance.now() - begun).toBeLessThan(5000);
  // The host uses exactly its share of the slots.
  expect(hanging.open).toBeLessThanOrEqual(8);
  await webhooks.stop();
});

test('the server never connects to an address that is not public, given as a number or by a name', async () => {
  const receiver = await Receiver.start();
  const byName = receiver.url.replace('127.0.0.1', 'localhost');
  const { signal } = new AbortController();
  for (const url of [receiver.url, byName, receiver.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')]) {
    const result = await deliver({
      ...{ url, headers: {}, body: '{}', allowPrivate: false, signal },
      proxyFor: () => undefined,
    });
    expect(result).toEqual({ outcome: 'failed', reason: 'the address is not a public one' });
  }
  expect(receiver.posts).toEqual([]);
});

describe('public addresses', () => {
  test.each([
    '1.1.1.1',
    '93.184.215.14',
    '172.32.0.1',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '2a00:1450:1:2:5efe::1',
  ])('%s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.53',
    '169.254.169.254',
    '172.31.255.255',
    '192.168.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:10.0.0.1',
    '168.63.129.16',
    '::ffff:0:10.0.0.1',
    '::ffff:0:0:1',
    '64:ff9b::a00:1',
    '64:ff9b:1:2:3::a00:1',
    '2001:0:1::1',
    '2a00:1450::5efe:10.0.0.1',
    '2a00:1450:1:2:0:5efe:a00:1',
    '2a00:1450:1:2:200:5efe:a00:1',
    '4000::1',
    'fec0::1',
    '2002:7f00:1::',
    'fd00::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'localhost',
  ])('not %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

test('the signature matches the example of the specification', () => {
  // From the test vectors of the Standard Webhooks reference libraries.
  const headers = signedHeaders('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: 1_614_265_330_000,
    body: '{"test": 2432232314}',
  });
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('the secret is made once and kept', () => {
  const directory = temporaryDirectory('plane');
  const secret = readWebhookSecret(directory);
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(readWebhookSecret(directory)).toBe(secret);
});

test('the delay between retries grows', () => {
  const delays = Array.from({ length: 8 }, (_, index) => retryDelayMs(index + 1, 0.5));
  expect(delays).toEqual([5000, 20_000, 80_000, 320_000, 1_280_000, 5_120_000, 7_200_000, 7_200_000]);
});

test('a callback that another server left behind is found without a hint', async () => {
  const receiver = await Receiver.start();
  const { plane, webhooks, finish } = await calling({ told: false, pollMs: 50 });
  webhooks.wake();
  const ended = await finish(receiver.url);
  await receiver.count(1);
  expect(JSON.parse(receiver.posts[0]?.body ?? '')).toMatchObject({ execution_id: ended.executionId });
  await vi.waitUntil(async () => (await plane.store.nextCallback()) === undefined);
});
