import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dial } from '../../../../src/agent/link/connection/dial.ts';
import { runSession, type SessionEnd } from '../../../../src/agent/link/connection/session.ts';
import { attachToRunner, type RunnerSocket } from '../../../../src/agent/runner-socket/runner-socket.ts';
import { CLOSE, encodeFrameWith, PROTOCOL_VERSION, type Start } from '../../../../src/core/protocol.ts';
import { makeDirectory, removeDirectory } from '../../../helpers/directories.ts';
import { INSTANCE, ScriptedRunner } from '../scripted-runner.ts';
import { ScriptedServer } from '../scripted-server.ts';

const START: Start = {
  type: 'start',
  execution_id: 'e1',
  runner_instance: INSTANCE,
  dispatch_number: 8,
  command: ['cat'],
  max_output_bytes: 100,
  stdin: 'fixed',
  grace_ms: 5000,
};

let dir: string;
let server: ScriptedServer;
let runner: ScriptedRunner;
let attached: RunnerSocket;
let leave: AbortController;
/** The times until the next notification to systemd that the session announced, ms. */
let expected: number[];

beforeEach(async () => {
  dir = makeDirectory('session');
  server = await ScriptedServer.listen();
  runner = await ScriptedRunner.listen(dir);
  attached = (await attachToRunner(dir, { type: 'attach', channel: 1, max_concurrency: 3 })) as RunnerSocket;
  leave = new AbortController();
  expected = [];
});

afterEach(async () => {
  leave.abort();
  attached.detach();
  await runner.close();
  await server.close();
  await removeDirectory(dir);
});

function begin(url = server.url): { end: Promise<SessionEnd>; linked: Promise<void> } {
  const linked = Promise.withResolvers<void>();
  const end = runSession({
    dial: () => dial({ url, credential: 'xpa_secret', tls: {} }),
    runner: attached,
    hello: {
      protocol: PROTOCOL_VERSION,
      version: '1.2.3',
      max_concurrency: 3,
      facts: { vcpu: 2, memory_mib: 3, storage_gib: 4 },
    },
    linked: linked.resolve,
    rotate: () => undefined,
    expectWithin: (ms) => expected.push(ms),
    signal: leave.signal,
  });
  return { end, linked: linked.promise };
}

/** Runs the session until it forwards everything. */
async function beginLinked(heartbeatMs = 60_000) {
  const { end, linked } = begin();
  const link = await server.nextLink();
  await runner.nextOf('prepare');
  runner.sayState();
  const hello = await link.welcome({ heartbeat_ms: heartbeatMs });
  await runner.nextOf('welcome');
  await linked;
  return { end, link, hello };
}

describe('greeting', () => {
  test("hello contains the held executions and the agent's version", async () => {
    const { hello } = await beginLinked();
    expect(server.authorizations).toEqual(['Bearer xpa_secret']);
    expect(hello).toEqual({
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      version: '1.2.3',
      runner_instance: INSTANCE,
      boot_id: 'boot',
      last_dispatch_number: 7,
      clock_ms: 1,
      max_concurrency: 3,
      facts: { vcpu: 2, memory_mib: 3, storage_gib: 4 },
      held: [],
    });
  });

  test('records from before the welcome stay in the journal', async () => {
    const { linked } = begin();
    const link = await server.nextLink();
    await runner.nextOf('prepare');
    runner.sendRecords(Buffer.from('of the link before'));
    runner.sayState();
    await link.welcome();
    await linked;
    runner.sendRecords(Buffer.from('after the welcome'));
    expect((await link.next()).data.toString()).toBe('after the welcome');
  });

  test('a runner that accepts no new work reports that on every connection', async () => {
    runner.send({ type: 'capacity', accepting: false, reason: 'disk_full' });
    const { link } = await beginLinked();
    expect(await link.nextFrame()).toEqual({ type: 'capacity', accepting: false, reason: 'disk_full' });
  });

  test('a refusal has its status', async () => {
    server.refusals.push(401);
    expect(await begin().end).toEqual({ cause: 'refused', status: 401, detail: 'No' });
  });

  test('an unreachable server is reported as such', async () => {
    const { url } = server;
    await server.close();
    expect(await begin(url).end).toMatchObject({ cause: 'unreachable' });
    server = await ScriptedServer.listen();
  });
});

describe('forwarding', () => {
  test('records are passed on unchanged, and frames in both directions with their attached bytes', async () => {
    const { link } = await beginLinked();
    runner.sendRecords(Buffer.from([1, 2, 3]));
    expect(await link.next()).toEqual({ data: Buffer.from([1, 2, 3]), isBinary: true });
    runner.send({ type: 'stdin_ack', execution_id: 'e1', offset: 5, closed: false });
    expect(await link.nextFrame()).toEqual({ type: 'stdin_ack', execution_id: 'e1', offset: 5, closed: false });
    link.ws.send(encodeFrameWith(START, Buffer.from('bytes of stdin')));
    const { frame, attachment } = await runner.next();
    expect(frame).toEqual(START);
    expect(attachment.toString()).toBe('bytes of stdin');
  });

  test('messages that wait for the server keep their bytes, whatever follows them', async () => {
    const { link } = await beginLinked();
    const sizes = Array.from({ length: 240 }, (_, n) => 1000 + ((n * 7919) % 150_000));
    // While stalled, everything that the link accepts is in flight at once. Afterwards it flows, and memory is reused.
    link.socket.pause();
    for (const [n, size] of sizes.entries()) runner.sendRecords(Buffer.alloc(size, n));
    await new Promise(setImmediate);
    link.socket.resume();
    for (const [n, size] of sizes.entries()) {
      const { data } = await link.next();
      expect(data.equals(Buffer.alloc(size, n)), `message ${n}`).toBe(true);
    }
  });

  test('the runner is not read while the server stalls, and nothing is lost', async () => {
    const { link } = await beginLinked();
    link.socket.pause();
    const chunk = Buffer.alloc(1 << 20, 'x');
    let sent = 0;
    // More than the kernel and the link may buffer; a link without a limit would accept all of it.
    while (runner.sendRecords(chunk) || sent < 8) {
      sent += 1;
      await new Promise(setImmediate);
      if (sent >= 256) break;
    }
    expect(sent).toBeLessThan(256);
    link.socket.resume();
    let received = 0;
    while (received < (sent + 1) * chunk.length) received += (await link.next()).data.length;
    expect(received).toBe((sent + 1) * chunk.length);
  });

  test('the server is not read while the runner stalls, and nothing is lost', async () => {
    const { link } = await beginLinked();
    runner.stall();
    const piece = Buffer.alloc(1 << 20, 'y');
    const total = 64;
    const flushed = new Promise<void>((resolve) => {
      for (let n = 0; n < total; n += 1) {
        link.ws.send(encodeFrameWith({ type: 'stdin', execution_id: 'e1', offset: n, close: false }, piece), () => {
          if (n === total - 1) resolve();
        });
      }
    });
    const stillHeld = await Promise.race([flushed.then(() => false), settledQueue(link.ws)]);
    expect(stillHeld).toBe(true);
    runner.resume();
    for (let n = 0; n < total; n += 1) {
      const { frame, attachment } = await runner.next();
      expect(frame).toMatchObject({ type: 'stdin', offset: n });
      expect(attachment.length).toBe(piece.length);
    }
    await flushed;
  });
});

describe('the end', () => {
  test('1012 is reported with its code, and the runner is told that there is no connection', async () => {
    const { end, link } = await beginLinked();
    link.ws.close(CLOSE.restart, 'restarting');
    expect(await end).toMatchObject({ cause: 'closed', code: CLOSE.restart, detail: 'restarting' });
    await runner.nextOf('unlinked');
  });

  test('two silent heartbeats end a half-open connection', async () => {
    const { end, link } = await beginLinked(100);
    // The network drops everything from now on: no pong, no close.
    link.socket.pause();
    expect(await end).toMatchObject({ cause: 'closed', code: CLOSE.timeout, detail: 'silence for two heartbeats' });
    await runner.nextOf('unlinked');
  });

  test('an open connection sends pings', async () => {
    await beginLinked(100);
    await expect.poll(() => expected.length, { timeout: 30_000 }).toBeGreaterThan(3);
    expect(new Set(expected)).toEqual(new Set([400]));
  });

  test.each([
    ['text that is not JSON', '{'],
    ['an unknown frame', '{"type":"surprise"}'],
    ['a malformed frame', '{"type":"start"}'],
    ['a second welcome', JSON.stringify({ type: 'welcome' })],
  ])('%s closes with the code for a bad frame, and does not reach the runner', async (_name, text) => {
    const { end, link } = await beginLinked();
    link.ws.send(text);
    expect(await end).toMatchObject({ cause: 'closed', code: CLOSE.badFrame });
    expect(await link.closed).toBe(CLOSE.badFrame);
    expect((await runner.next()).frame.type).toBe('unlinked');
  });

  test('a start before the welcome is a protocol error', async () => {
    const { end } = begin();
    const link = await server.nextLink();
    await runner.nextOf('prepare');
    link.ws.send(encodeFrameWith(START, Buffer.alloc(0)));
    expect(await end).toMatchObject({ cause: 'closed', code: CLOSE.badFrame });
    expect((await runner.next()).frame.type).toBe('unlinked');
  });

  test('the connection is closed if the runner dies', async () => {
    const { end, link } = await beginLinked();
    runner.hangUp();
    expect(await end).toEqual({ cause: 'runner_gone' });
    expect(await link.closed).toBe(1000);
  });

  test('an agent that leaves closes the connection with a close frame', async () => {
    const { end, link } = await beginLinked();
    leave.abort();
    expect(await end).toEqual({ cause: 'aborted' });
    expect(await link.closed).toBe(1000);
  });
});

/** Whether the socket accepts no more bytes: the number of unsent bytes is constant over many turns of the event loop. */
async function settledQueue(ws: { bufferedAmount: number }): Promise<boolean> {
  for (let same = 0, before = -1; same < 50; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    same = ws.bufferedAmount === before ? same + 1 : 0;
    before = ws.bufferedAmount;
  }
  return ws.bufferedAmount > 0;
}
