/**
 * Sends 10,000 messages of hostile agents: almost valid hellos, frames and records, valid ones with changed bytes, and invalid
 * WebSocket frames. The server must close or answer, must not log an internal error, and executions of other machines must continue.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { AGENT_PATHS, CLOSE } from '../../src/core/protocol.ts';
import { type RunningTestServer, runningServer } from '../helpers/running-server.ts';
import { HELLO } from '../helpers/scripted-agent.ts';
import { Bystander } from './bystander.ts';
import { hellos, type Known, type Message, messages } from './link-frames.ts';
import { mutated } from './mutations.ts';
import { announceSeed, SEED } from './seed.ts';

vi.setConfig({ testTimeout: 600_000 });

const MACHINES = 8;
/** The number of executions of each machine, so that some are alive to the end. */
const EXECUTIONS = 150;
/** Each session has one link, one hello, then three messages. */
const SESSIONS = 2400;
const RAW = 400;
const TIMEOUT_MS = 20_000;

interface Hostile extends Known {
  machineId: string;
  credential: string;
}

/** Machines whose agents are hostile, each with executions that wait for it. */
async function hostileMachines(server: RunningTestServer): Promise<Hostile[]> {
  const ids = Array.from({ length: MACHINES }, (_, index) => `dm-hostile-${index}`);
  const others = ['dm-bystander', ...ids].map((id) => server.client.machine(id));
  const made = await Promise.all(
    ids.map(async (machineId) => {
      const credential = await server.machine(machineId);
      const create = () => server.client.machine(machineId).create({ command: ['true'], stdin_open: true });
      const own: string[] = [];
      while (own.length < EXECUTIONS) own.push((await create()).execution_id);
      return { machineId, credential, own };
    }),
  );
  const first = await Promise.all(others.map(({ client, path }) => client.get<Page>(path)));
  const foreign = first.flatMap(({ json }) => json.items.map(({ execution_id: id }) => id));
  return made.map((one) => ({ ...one, others: foreign.filter((id) => !one.own.includes(id)) }));
}

interface Page {
  items: { execution_id: string }[];
}

/** Close codes for errors of the agent or the connection. Close codes for errors of the server are not permitted. */
const LAWFUL = new Set<number>([
  ...[1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009],
  ...Object.values(CLOSE).filter((code) => code !== CLOSE.restart),
]);

/** The only server error that a hostile agent can cause: the server starts its dispatch numbers again. */
const GIVEN_TWICE = 'a dispatch number was given out twice';

interface Outcome {
  /** The close code, or `alive` if the server answers a ping after all messages. */
  end: number | 'alive';
  welcomed: boolean;
}

/** Runs one link from its hello to its end. */
function session(server: RunningTestServer, { credential }: Hostile, hello: string, sent: readonly Message[]) {
  const ws = new WebSocket(`${server.url.replace('http', 'ws')}${AGENT_PATHS.link}`, {
    headers: { authorization: `Bearer ${credential}` },
  });
  let welcomed = false;
  return new Promise<Outcome['end']>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the server neither answers nor closes')), TIMEOUT_MS);
    ws.once('open', () => {
      ws.send(hello);
      ws.ping();
    });
    // Records are acknowledged when they are on disk, unless the link closes. The pong shows that all other messages are processed.
    let settled = !sent.some((message) => 'bytes' in message);
    ws.on('message', (data) => {
      settled ||= /^{"type":"(ack|forget)"/.test(`${data}`);
      if (!welcomed) for (const message of sent) ws.send('text' in message ? message.text : message.bytes);
      welcomed = true;
      ws.ping();
    });
    ws.on('pong', () => welcomed && settled && resolve('alive'));
    ws.once('close', resolve).once('error', reject);
    ws.once('close', () => clearTimeout(timer));
  })
    .then((end): Outcome => ({ end, welcomed }))
    .finally(() => ws.terminate());
}

/** Sends bytes after a valid upgrade. The server answers, closes, or waits for more. */
function rawSession(server: RunningTestServer, { credential }: Hostile, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(server.url);
  const socket: Socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(
      `GET ${AGENT_PATHS.link} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
        `Authorization: Bearer ${credential}\r\n\r\n`,
    );
    socket.once('data', () => socket.end(bytes));
  });
}

/** A text message in the frames of a client (RFC 6455 §5): masked, in two fragments with a ping between them. */
function fragments(text: string): Buffer {
  const frame = (first: number, payload: Buffer) => {
    const length = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 0xff];
    return Buffer.concat([Buffer.from([first, ...length, 0, 0, 0, 0]), payload]);
  };
  const bytes = Buffer.from(text);
  return Buffer.concat([
    frame(0x01, bytes.subarray(0, 20)),
    frame(0x89, Buffer.from('ping')),
    frame(0x80, bytes.subarray(20)),
  ]);
}

/** Checks that executions, logs and output can be read after any reports. */
async function expectReadable(server: RunningTestServer, machines: readonly Hostile[]): Promise<void> {
  for (const { machineId, own } of machines) {
    const machine = server.client.machine(machineId);
    for (const id of own.slice(0, 30)) {
      for (const part of ['', '/events?limit=1000', '/output', '/output/stdout']) {
        expect((await server.client.get(machine.at(id, part))).status).toBeOneOf([200, 409]);
      }
    }
    expect((await server.client.get(`/v1/machines/${machineId}`)).status).toBe(200);
  }
}

/** Half of the hellos are valid, so that the following messages are read. */
function hello(known: Known): fc.Arbitrary<string> {
  return fc.oneof(fc.constant(JSON.stringify({ ...HELLO, clock_ms: Date.UTC(2026, 0) })), hellos(known));
}

function three(known: Known): fc.Arbitrary<Message[]> {
  return fc.array(messages(known), { minLength: 3, maxLength: 3 });
}

test('the server survives messages that are almost valid', async () => {
  announceSeed('link', SESSIONS * 4 + RAW);
  await using server = await runningServer({ logLevel: 'info' });
  const bystander = await Bystander.start(server);
  const hostile = await hostileMachines(server);
  const outcomes = new Map<Outcome['end'], number>();
  let welcomes = 0;
  const batch = fc.tuple(...hostile.map((machine) => fc.tuple(hello(machine), three(machine))));
  await fc.assert(
    fc.asyncProperty(batch, async (links) => {
      bystander.print();
      const ends = links.map((link, index) => session(server, hostile[index] as Hostile, ...link));
      for (const { end, welcomed } of await Promise.all(ends)) {
        welcomes += welcomed ? 1 : 0;
        outcomes.set(end, (outcomes.get(end) ?? 0) + 1);
        if (end === CLOSE.restart) expect(server.log.some((line) => line.includes(GIVEN_TWICE))).toBe(true);
        else if (end !== 'alive') expect(LAWFUL, server.log.at(-1)).toContain(end);
      }
    }),
    { numRuns: SESSIONS / MACHINES, seed: SEED, endOnFailure: true },
  );
  // Enough sessions must get past the welcome for a useful test.
  expect(welcomes).toBeGreaterThan(SESSIONS / 4);
  const wanted = ['alive', CLOSE.badFrame, CLOSE.version, CLOSE.foreignExecution];
  expect([...outcomes.keys()]).toEqual(expect.arrayContaining(wanted));
  await fc.assert(
    fc.asyncProperty(
      fc.array(mutated(fc.constant(fragments(JSON.stringify(HELLO)))), { minLength: MACHINES, maxLength: MACHINES }),
      async (batch) => {
        bystander.print();
        const answers = await Promise.all(batch.map((bytes, i) => rawSession(server, hostile[i] as Hostile, bytes)));
        for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 101 /);
      },
    ),
    { numRuns: RAW / MACHINES, seed: SEED, endOnFailure: true },
  );
  await expectReadable(server, hostile);
  // An agent that repeatedly reports with gaps loses that execution, and the server logs that.
  await bystander.expectUnharmed({ expected: ['an execution cannot be followed any more', 'it could start twice'] });
});
