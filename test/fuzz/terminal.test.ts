/**
 * Thousands of messages of a terminal's client, good ones, nearly good ones, and good ones with bytes changed, over a real connection: each valid
 * message has its effect once and in order, and each other one is answered with an error.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { TerminalClient } from '../../src/server/control/terminals/terminal-client.ts';
import { storedExecution } from '../helpers/stored-execution.ts';
import { mutated } from './mutations.ts';
import { announceSeed, HTTP_CASES, SEED } from './seed.ts';

vi.setConfig({ testTimeout: 300_000 });

const RUNNING = storedExecution({ status: 'running', isTerminal: true });
const POLL = { timeout: 60_000, interval: 5 };
/** Bad messages in a row that end a connection. */
const TOO_MANY = 20;

/** A message, with the input that it stands for; `undefined` if it is not valid. A resize or an ack stands for none. */
interface Sent {
  message: string | Buffer;
  input: Buffer | undefined;
}

const inputs: fc.Arbitrary<Sent> = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes))
  .map((input) => ({ message: JSON.stringify({ type: 'input', data: input.toString('base64') }), input }));
const binaries: fc.Arbitrary<Sent> = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => ({ message: Buffer.from(bytes), input: Buffer.from(bytes) }));
const sides = fc.integer({ min: 0, max: 65_535 });
const controls: fc.Arbitrary<Sent> = fc
  .oneof(
    fc.record({ type: fc.constant('resize'), width: sides, height: sides }),
    fc.record({ type: fc.constant('ack'), offset: fc.nat() }),
    fc.record({ type: fc.constant('ping') }),
  )
  .map((frame) => ({ message: JSON.stringify(frame), input: Buffer.alloc(0) }));
const wrong = fc.constantFrom<unknown>(-1, 65_536, 1.5, 1e300, '80', null, [], {}, true);
const invalid: fc.Arbitrary<Sent> = fc
  .oneof(
    fc.record({ type: fc.constantFrom('input', 'resize', 'ack') }),
    fc.record({ type: fc.constant('input'), data: fc.constantFrom<unknown>('*', 'A', 'AA=', 'AAAA=', 'ä', 7, null) }),
    fc.record({ type: fc.constant('resize'), width: sides, height: wrong }),
    fc.record({ type: fc.constant('ack'), offset: fc.constantFrom<unknown>(-1, 0.5, '0', null) }),
    fc.record({ type: fc.constantFrom<unknown>('output', 'closed', 'offset', '', 5, '__proto__', 'constructor') }),
    fc.constantFrom<unknown>(null, 7, 'input', [], {}),
  )
  .map((frame) => ({ message: JSON.stringify(frame), input: undefined }));
const garbage: fc.Arbitrary<Sent> = fc
  .oneof(fc.constantFrom('', '{', '[]]', '\u0000', '{"type":"input","data":"'), fc.constant('['.repeat(5000)))
  .map((message) => ({ message, input: undefined }));
const messages = fc.oneof(
  { weight: 4, arbitrary: inputs },
  { weight: 2, arbitrary: binaries },
  { weight: 2, arbitrary: controls },
  { weight: 3, arbitrary: invalid },
  { weight: 1, arbitrary: garbage },
);

/** A terminal that takes all input and prints nothing, with a client. */
async function connect() {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    client.terminate();
    server.close();
  });
  const seen = {
    input: [] as Buffer[],
    errorCount: 0,
    faults: [] as unknown[],
    closeCode: undefined as number | undefined,
  };
  client.on('message', (data: Buffer) => {
    if ((JSON.parse(data.toString()) as { error_code?: string }).error_code === 'INVALID_MESSAGE') seen.errorCount += 1;
  });
  client.on('close', (code) => {
    seen.closeCode = code;
  });
  const [connection] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  const [ws, request] = connection as [WebSocket, { socket: { bytesRead: number } }];
  const served = new TerminalClient(
    {
      store: {
        readStream: async () => Buffer.alloc(0),
        getExecution: async () => RUNNING,
        outputBounds: async () => ({ start: 0, end: 0 }),
      },
      control: {
        writeStdin: async ({ bytes }) => {
          seen.input.push(bytes);
          return { outcome: 'written', offset: 0, closed: false };
        },
        resize: async () => 'sent',
        subscribe: () => () => {},
      },
      log: { error: (fault) => void seen.faults.push(fault) },
    },
    { ws, socket: request.socket },
    RUNNING,
    { binary: true, offset: 0, tellsOffsets: false, acknowledges: true, signal: new AbortController().signal },
  );
  void served.run(RUNNING);
  return { client, seen };
}

test('each valid message has its effect once and in order; each other one gets INVALID_MESSAGE', async () => {
  announceSeed('messages of a terminal client', HTTP_CASES);
  const { client, seen } = await connect();
  const wanted: Buffer[] = [];
  let wantedErrors = 0;
  let bad = 0;
  for (const { message, input } of fc.sample(messages, { numRuns: HTTP_CASES, seed: SEED })) {
    if (input === undefined && bad === TOO_MANY - 1) continue;
    bad = input === undefined ? bad + 1 : 0;
    client.send(message);
    if (input === undefined) wantedErrors += 1;
    else wanted.push(input);
  }
  client.send(Buffer.from('the end'));
  wanted.push(Buffer.from('the end'));
  await vi.waitFor(() => expect(seen.errorCount).toBe(wantedErrors), POLL);
  await vi.waitFor(() => expect(Buffer.concat(seen.input).equals(Buffer.concat(wanted))).toBe(true), POLL);
  expect([seen.closeCode, seen.faults]).toEqual([undefined, []]);
});

test('messages with changed bytes never do more than end the connection with 1008', async () => {
  const cases = Math.ceil(HTTP_CASES / 3);
  const originals = fc.oneof(inputs, controls).map(({ message }) => Buffer.from(message));
  let connection = await connect();
  for (const bytes of fc.sample(mutated(originals), { numRuns: cases, seed: SEED })) {
    if (connection.client.readyState !== WebSocket.OPEN) {
      expect(connection.seen.faults).toEqual([]);
      connection = await connect();
    }
    await new Promise((resolve) => connection.client.send(bytes.toString('utf8'), resolve));
  }
  const { client, seen } = connection;
  for (let count = 0; count < TOO_MANY; count += 1) client.send('not JSON');
  await vi.waitFor(() => expect(seen.closeCode).toBe(1008), POLL);
  expect(seen.faults).toEqual([]);
});
