/** Collectors that refuse, hang or are missing: only spans are lost. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { ROOT_CONTEXT } from '@opentelemetry/api';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { startTracing, type Tracing } from '../../../../src/server/operations/tracing/tracing.ts';
import { storedExecution } from '../../../helpers/stored-execution.ts';
import { Collector } from './collector.ts';
import { runFalse, traced, tracingConfig } from './traced-server.ts';

const BATCH = 512;

/** Ends `count` spans, of executions that never started. */
function endSpans({ executions }: Tracing, spans: number): void {
  for (let ended = 0; ended < spans; ended += 2) {
    const execution = storedExecution({ executionId: `ex-${ended}` });
    const request = { machineId: 'dm-one', command: ['true'], createdBy: 'admin', trace: ROOT_CONTEXT };
    executions.created(execution, { ...request, stdinMode: 'none', expiresInMs: 1000 } as never);
    executions.committed({ ...execution, status: 'cancelled' });
  }
}

test('a collector that refuses spans is logged once, and once more when it accepts them again', async () => {
  const statuses = [400, 400];
  await using collector = await Collector.start((response) => response.writeHead(statuses.shift() ?? 200).end('{}'));
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const tracing = startTracing(tracingConfig(collector.url), { log, now: Date.now, version: '1' });
  // A full batch is sent at once, and the next batch after it.
  endSpans(tracing, 4 * BATCH);
  await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBe(4);
  await tracing.close();
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    'sending traces to the collector',
    'the collector does not accept traces; spans are lost until it does',
    'the collector accepts traces again',
  ]);
});

test('the number of spans that wait for a busy collector is bounded', async () => {
  const first = Promise.withResolvers<void>();
  await using collector = await Collector.start((response) => first.promise.then(() => response.end('{}')));
  const log = pino({ level: 'silent' });
  const tracing = startTracing(tracingConfig(collector.url), { log, now: Date.now, version: '1' });
  endSpans(tracing, 12_000);
  first.resolve();
  await tracing.close();
  expect(collector.spans.length).toBeGreaterThan(BATCH);
  expect(collector.spans.length).toBeLessThanOrEqual(BATCH + 8192);
});

/** A URL of a server that answers each request with these bytes, or, without bytes, of a closed port. */
async function badCollector(answer: string | undefined): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('data', () => socket.write(answer ?? ''));
  });
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  if (answer === undefined) close();
  else onTestFinished(close);
  return `http://127.0.0.1:${port}`;
}

test.each([
  ['does not exist', undefined],
  ['never answers', ''],
  ['never ends its answer', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'],
])('a collector that %s disturbs neither the executions nor the stop of the server', async (_, answer) => {
  const server = await traced(await badCollector(answer));
  await runFalse(server);
  const before = performance.now();
  await server[Symbol.asyncDispose]();
  expect(performance.now() - before).toBeLessThan(9000);
});
