/** A name server on this host. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

const A = 1;
const FOUND = 0x8180;
const UNKNOWN_NAME = 0x8183;

/** Starts a name server until the end of the test. `addressesOf` returns IPv4 addresses, none for an unknown name, undefined for no answer. */
export async function startNameServer(
  addressesOf: (name: string) => readonly string[] | undefined,
): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const socket = createSocket('udp4', (query: Buffer, from: RemoteInfo) => {
    const { name, type, end } = question(query);
    asked.push(name);
    const addresses = addressesOf(name);
    if (addresses === undefined) return;
    const answers = type === A ? addresses.map(record) : [];
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(addresses.length === 0 ? UNKNOWN_NAME : FOUND, 2);
    header.writeUInt16BE(answers.length, 6);
    header.fill(0, 8, 12);
    socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

/** The name is that of the question; type A, class IN, a time to live of 0, four bytes. */
function record(address: string): Buffer {
  return Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]);
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
