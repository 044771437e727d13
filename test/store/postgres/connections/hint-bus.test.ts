/** Connections for hints whose packets the network drops, without a word to either side. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { HintBus } from '../../../../src/store/postgres/connections/hint-bus.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import type { Hint } from '../../../../src/store/store.ts';
import { Balancer } from '../../../helpers/balancer.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

/** The check after 5 s, 5 s without an answer to it, and the new connection, on a busy machine. */
const POLL = { timeout: 60_000, interval: 50 };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const hintOf = (machineId: string): Hint => ({ about: 'machine', machineId });

function bus(url: string): HintBus {
  const opened = new HintBus(parseDatabaseUrl(url));
  onTestFinished(() => opened.close());
  return opened;
}

/** A sender and a listener on one schema, each with a connection of its own through a proxy. */
async function twoServers() {
  const url = await postgres.schema();
  const through = async () => {
    const proxy = await Balancer.start([postgres.port]);
    onTestFinished(() => proxy.close());
    const proxied = new URL(url);
    proxied.port = String(proxy.port);
    return { proxy, bus: bus(proxied.href) };
  };
  const [sender, far] = [await through(), await through()];
  const heard: Hint[] = [];
  const counted = { connections: 0 };
  far.bus.listen({
    hinted: (hint) => void heard.push(hint),
    missedHints: () => {
      counted.connections += 1;
    },
  });
  await expect.poll(() => counted.connections, POLL).toBe(1);
  await sender.bus.send([hintOf('dm-first')]);
  await expect.poll(() => heard, POLL).toEqual([hintOf('dm-first')]);
  return { sender, far, heard, counted };
}

test('a listening connection that the network drops is given up and replaced', async () => {
  const { sender, far, heard, counted } = await twoServers();
  far.proxy.drop();
  await sender.bus.send([hintOf('dm-lost')]);
  await expect.poll(() => counted.connections, POLL).toBe(2);
  await sender.bus.send([hintOf('dm-second')]);
  await expect.poll(() => heard, POLL).toEqual([hintOf('dm-first'), hintOf('dm-second')]);
});

test('a sending connection that the network drops is given up and replaced', async () => {
  const { sender, heard } = await twoServers();
  sender.proxy.drop();
  await expect(sender.bus.send([hintOf('dm-lost')])).rejects.toThrow('unavailable');
  await sender.bus.send([hintOf('dm-second')]);
  await expect.poll(() => heard, POLL).toEqual([hintOf('dm-first'), hintOf('dm-second')]);
});
