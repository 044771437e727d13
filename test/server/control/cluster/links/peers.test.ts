/** The connections between servers: real sockets. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { PeerFrame } from '../../../../../src/server/control/cluster/links/frames.ts';
import { readPeerAddress } from '../../../../../src/server/control/cluster/links/peer-socket.ts';
import { Peers } from '../../../../../src/server/control/cluster/links/peers.ts';
import type { LivingReplica } from '../../../../../src/store/store.ts';

const KEY = randomBytes(32);
const POLL = { timeout: 20_000, interval: 20 };

interface Options {
  key?: Buffer;
  version?: string;
  address?: string;
}

/** A server of the cluster, as far as its connections go. */
async function server(replicaId: number, { key = KEY, version = '1.0.0', address = '127.0.0.1:0' }: Options = {}) {
  const held = new Set<string>();
  const frames: PeerFrame[] = [];
  const cluster = { replicaId };
  const peers = new Peers({
    cluster,
    sessions: { get: (machineId) => (held.has(machineId) ? {} : undefined), machineIds: () => held },
    address: readPeerAddress(address),
    key,
    version,
    received: (_link, frame) => frames.push(frame),
    closed: () => {},
    log: pino({ level: 'silent' }),
  });
  await peers.start();
  onTestFinished(() => peers.stop());
  const self = (): LivingReplica => ({
    replicaId: cluster.replicaId,
    ...(peers.address !== undefined && { address: peers.address }),
  });
  return { peers, held, frames, self, cluster };
}

type TestServer = Awaited<ReturnType<typeof server>>;

/** Each learns that the other lives, as after a heartbeat. */
function meet(one: TestServer, two: TestServer): void {
  one.peers.living([two.self()]);
  two.peers.living([one.self()]);
}

async function connected(one: TestServer, two: TestServer): Promise<void> {
  await vi.waitFor(() => {
    meet(one, two);
    expect(one.peers.isComplete && two.peers.isComplete).toBe(true);
  }, POLL);
}

test('two servers have one connection, tell each other the machines of their agents, and send hints', async () => {
  const [one, two] = [await server(1), await server(2)];
  one.held.add('dm-one');
  await connected(one, two);
  await vi.waitFor(() => expect(two.peers.holderOf('dm-one')?.replicaId).toBe(1), POLL);
  two.held.add('dm-two');
  two.peers.placeChanged('dm-two');
  await vi.waitFor(() => expect(one.peers.holderOf('dm-two')?.replicaId).toBe(2), POLL);
  two.held.delete('dm-two');
  two.peers.placeChanged('dm-two');
  await vi.waitFor(() => expect(one.peers.holderOf('dm-two')).toBeUndefined(), POLL);
  one.peers.hint([{ about: 'machine', machineId: 'dm-two' }]);
  await vi.waitFor(() => expect(two.frames).toHaveLength(1), POLL);
  expect(two.frames).toEqual([{ type: 'hints', hints: [{ about: 'machine', machineId: 'dm-two' }] }]);
});

test.each<[string, Options]>([
  ['with another secret key', { key: randomBytes(32) }],
  ['of another version', { version: '1.0.1' }],
  ['without an address', { address: '' }],
])('a server %s is not connected, and the others know it', async (_name, options) => {
  const [one, two] = [await server(1), await server(2, options)];
  const third = await server(3);
  one.peers.living([two.self(), third.self()]);
  two.peers.living([one.self(), third.self()]);
  // The third connects, so there was time.
  await vi.waitFor(() => {
    third.peers.living([one.self()]);
    expect(third.peers.isComplete).toBe(true);
  }, POLL);
  expect(one.peers.isComplete).toBe(false);
  expect(two.peers.isComplete).toBe(false);
});

test('a server under another id than the one that was called is not connected', async () => {
  const [one, two] = [await server(1), await server(3)];
  const { address = '' } = one.self();
  two.peers.living([{ replicaId: 2, address }]);
  const third = await server(4);
  await connected(one, third);
  expect(two.peers.isComplete).toBe(false);
});

test('a connection ends when the other server is declared dead, stops, or takes another id', async () => {
  const [one, two] = [await server(1), await server(2)];
  two.held.add('dm-two');
  await connected(one, two);
  await vi.waitFor(() => expect(one.peers.holderOf('dm-two')).toBeDefined(), POLL);
  one.peers.living([]);
  expect(one.peers.holderOf('dm-two')).toBeUndefined();
  await connected(one, two);
  two.cluster.replicaId = 5;
  two.peers.living([one.self()]);
  await vi.waitFor(() => expect(one.peers.holderOf('dm-two')?.replicaId).toBe(5), POLL);
  await connected(one, two);
  two.peers.stop();
  await vi.waitFor(() => expect(one.peers.isComplete).toBe(false), POLL);
});

test('a connection that says nothing is given up after 4 s', async () => {
  const [one, two] = [await server(1), await server(2)];
  const { address = '' } = one.self();
  const between = await stallingBetween(Number(address.split(':')[1]));
  two.peers.living([{ replicaId: 1, address: `127.0.0.1:${between.port}` }]);
  one.peers.living([two.self()]);
  await vi.waitFor(() => expect(one.peers.isComplete && two.peers.isComplete).toBe(true), POLL);
  between.stall();
  await vi.waitFor(() => expect(one.peers.isComplete || two.peers.isComplete).toBe(false), POLL);
});

test('a stranger who connects gets nothing and changes nothing', async () => {
  const [one, two] = [await server(1), await server(2)];
  await connected(one, two);
  const socket = connect(Number(one.self().address?.split(':')[1]), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('{"type":"hello","from":2,"to":1,"version":"1.0.0"}\n'.repeat(20));
  const bytes: Buffer[] = [];
  socket.on('data', (chunk) => bytes.push(chunk));
  await once(socket, 'close');
  expect(Buffer.concat(bytes).toString()).not.toContain('hello');
  expect(one.peers.isComplete).toBe(true);
});

test.each([
  ['10.0.0.5:7412', { host: '10.0.0.5', port: 7412 }],
  ['[::1]:7412', { host: '::1', port: 7412 }],
  ['server-1:0', { host: 'server-1', port: 0 }],
  ['7412', undefined],
  ['::1:7412', undefined],
  ['host:70000', undefined],
])('the address %s', (text, address) => {
  expect(readPeerAddress(text)).toEqual(address);
});

/** A relay that stops to relay, and leaves its connections open. */
async function stallingBetween(port: number) {
  const sockets = new Set<Socket>();
  const relay = createServer((socket) => {
    const other = connect(port, '127.0.0.1');
    for (const one of [socket, other]) sockets.add(one.on('error', () => {}));
    socket.on('data', (bytes) => other.write(bytes));
    other.on('data', (bytes) => socket.write(bytes));
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return {
    port: (relay.address() as { port: number }).port,
    stall: () => {
      for (const socket of sockets) socket.pause();
    },
  };
}
