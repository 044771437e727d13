/** The order of the requests that write stdin, with a server that answers when the test says so. */
import { expect, test } from 'vitest';
import { RefusedError } from '../../src/client/http/errors.ts';
import type { Transport } from '../../src/client/http/transport.ts';
import { PIECE_BYTES, StdinClosedError, stdinStream } from '../../src/client/stdin-stream.ts';

interface Write {
  offset: number;
  bytes: number;
  close: boolean;
  signal: AbortSignal;
  answer: (closed?: boolean) => void;
  refuse: (reason: string) => void;
}

/** A server that takes no bytes before all earlier ones. */
class HeldServer {
  readonly writes: Write[] = [];
  #noticed = Promise.withResolvers<void>();

  readonly transport: Pick<Transport, 'json'> = {
    json: (_method: string, _path: string, _schema: unknown, options?: object) => {
      const { query, bytes, signal } = options as {
        query: { offset: number; close?: boolean };
        bytes: Uint8Array;
        signal: AbortSignal;
      };
      return new Promise<never>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        this.writes.push({
          offset: query.offset,
          bytes: bytes.length,
          close: query.close === true,
          signal,
          answer: (closed = false) => resolve({ closed } as never),
          refuse: (reason) => reject(refusal(reason)),
        });
        this.#noticed.resolve();
        this.#noticed = Promise.withResolvers();
      });
    },
  };

  /** Returns the write with this number, counted from 0, when it has arrived. */
  async write(index: number): Promise<Write> {
    for (;;) {
      const write = this.writes[index];
      if (write !== undefined) return write;
      await this.#noticed.promise;
    }
  }
}

const refusal = (reason: string) =>
  new RefusedError(new Response(null, { status: 409 }), { error_code: 'INVALID_STATE', details: { reason } }, '/x');
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('three large pieces are on their way at once, and the close waits for all', async () => {
  const server = new HeldServer();
  const writer = stdinStream(server.transport, '/x').getWriter();
  const written = writer.write(new Uint8Array(4 * PIECE_BYTES + 10));
  const closed = writer.close();
  await server.write(2);
  await turn();
  expect(server.writes.map(({ offset }) => offset / PIECE_BYTES)).toEqual([0, 1, 2]);
  server.writes[0]?.answer();
  expect((await server.write(3)).offset).toBe(3 * PIECE_BYTES);
  for (const write of server.writes.slice(1, 3)) write.answer();
  await turn();
  // The small rest takes its turn.
  expect(server.writes).toHaveLength(4);
  server.writes[3]?.answer();
  expect(await server.write(4)).toMatchObject({ offset: 4 * PIECE_BYTES, bytes: 10, close: false });
  server.writes[4]?.answer();
  await written;
  expect(await server.write(5)).toMatchObject({ offset: 4 * PIECE_BYTES + 10, bytes: 0, close: true });
  server.writes[5]?.answer(true);
  await closed;
});

test('a small write settles when the machine has it', async () => {
  const server = new HeldServer();
  const writer = stdinStream(server.transport, '/x').getWriter();
  let settled = 0;
  const both = ['a', 'b'].map((text) => writer.write(Buffer.from(text)).then(() => (settled += 1)));
  await server.write(0);
  await turn();
  expect([server.writes.length, settled]).toEqual([1, 0]);
  server.writes[0]?.answer();
  (await server.write(1)).answer();
  await Promise.all(both);
  expect(server.writes.map(({ offset }) => offset)).toEqual([0, 1]);
});

test('a piece that overtook the one before is sent again', async () => {
  const server = new HeldServer();
  const writer = stdinStream(server.transport, '/x').getWriter();
  const written = writer.write(new Uint8Array(2 * PIECE_BYTES)).then(() => writer.close());
  (await server.write(1)).refuse('bad_offset');
  expect(await server.write(2)).toMatchObject({ offset: PIECE_BYTES, bytes: PIECE_BYTES });
  server.writes[0]?.answer();
  server.writes[2]?.answer();
  (await server.write(3)).answer(true);
  await written;
});

test('a stdin that is closed ends the other writes, and the close rejects', async () => {
  const server = new HeldServer();
  const writer = stdinStream(server.transport, '/x').getWriter();
  await writer.write(new Uint8Array(2 * PIECE_BYTES));
  const { signal } = await server.write(1);
  server.writes[0]?.refuse('not_open');
  await expect(writer.close()).rejects.toBeInstanceOf(StdinClosedError);
  expect(signal.aborted).toBe(true);
});
