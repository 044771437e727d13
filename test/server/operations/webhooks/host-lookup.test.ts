/** Name servers that do not answer. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { lookUpAnyHost, lookUpPublicHost } from '../../../../src/server/operations/webhooks/host-lookup.ts';

const A = 1;
const ADDRESS = Buffer.from([198, 51, 100, 7]);

/** Starts a name server that answers each name with one address, and names that begin with `silent` never. Returns its address. */
async function nameServer(asked: string[] = []): Promise<string> {
  const socket = createSocket('udp4', (query: Buffer, from: RemoteInfo) => {
    const { name, type, end } = question(query);
    asked.push(name);
    if (name.startsWith('silent')) return;
    const found = type === A;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(found ? 1 : 0, 6);
    header.fill(0, 8, 12);
    // The name is that of the question; type A, class IN, a time to live of 0, four bytes.
    const answer = Buffer.concat([Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]), ADDRESS]);
    socket.send(
      Buffer.concat([header, query.subarray(12, end), found ? answer : Buffer.alloc(0)]),
      from.port,
      from.address,
    );
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

test('names whose server does not answer delay no other name (S11)', async () => {
  const asked: string[] = [];
  const servers = [await nameServer(asked)];
  const ending = new AbortController();
  const { signal } = ending;
  let settled = 0;
  const silent = Array.from({ length: 64 }, (_, index) =>
    lookUpPublicHost(`silent-${index}.example`, { servers, signal }).finally(() => {
      settled += 1;
    }),
  );
  const refused = Promise.allSettled(silent);
  for (const name of ['a.example', 'b.example', 'c.example']) {
    expect(await lookUpPublicHost(name, { servers, signal })).toEqual([{ address: '198.51.100.7', family: 4 }]);
  }
  expect(settled).toBe(0);
  expect(new Set(asked.filter((name) => name.startsWith('silent'))).size).toBe(64);
  // The end of an attempt ends its lookup.
  ending.abort();
  expect(new Set((await refused).map(({ status }) => status))).toEqual(new Set(['rejected']));
});

test('an unknown name is an error with its code', async () => {
  const refusing = createSocket('udp4', (query, from) => {
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8183, 2);
    refusing.send(answer, from.port, from.address);
  });
  refusing.bind(0, '127.0.0.1');
  await once(refusing, 'listening');
  onTestFinished(() => void refusing.close());
  const servers = [`127.0.0.1:${refusing.address().port}`];
  await expect(
    lookUpPublicHost('none.example', { servers, signal: new AbortController().signal }),
  ).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

test('a name of /etc/hosts is found if private addresses are allowed', async () => {
  expect(await lookUpAnyHost('localhost')).toContainEqual({ address: '127.0.0.1', family: 4 });
});
