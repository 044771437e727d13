/**
 * Counts for each execution in PostgreSQL, at 1 and 32 at a time: statements, round trips and bytes of the write-ahead log. A proxy between the
 * store and the database reads the messages (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { REPORT_KIND } from '../src/core/report.ts';
import { openPostgresStore } from '../src/store/postgres/store.ts';
import { TestPostgres } from '../test/helpers/postgres.ts';
import { inParallel, say, TINY } from './rounds.ts';
import { connectMachine, createIn, MACHINE } from './store-machine.ts';

const EXECUTIONS = TINY ? 64 : 640;
const WIDTHS = [1, 32];
const EXECUTE = 'E'.charCodeAt(0);
/** Bytes of a type and of a length, which includes itself. */
const HEADER_BYTES = 5;

interface Messages {
  statements: number;
  /** Number of times that the store sent something after an answer. */
  roundTrips: number;
}

const postgres = await TestPostgres.start();
const messages: Messages = { statements: 0, roundTrips: 0 };
const proxy = await startProxy(postgres.port, messages);
const url = new URL(postgres.url);
url.port = String((proxy.address() as { port: number }).port);
const store = await openPostgresStore({ url: url.href, version: 'bench' });
try {
  process.stdout.write('\ncounts for each execution in PostgreSQL\n');
  await connectMachine(store);
  for (const width of WIDTHS) {
    await counted('a create', width, (id) => createIn(store, id, true));
    await counted('a report of its start and end', width, (id) => report(id));
  }
} finally {
  await store.close();
  proxy.close();
  await postgres.stop();
}

async function counted(label: string, width: number, work: (executionId: string) => Promise<void>): Promise<void> {
  const before = { ...messages, log: await logPosition() };
  await inParallel(EXECUTIONS, width, (n) => work(`ex-${width}-${n}`));
  const logBytes = (await logPosition()) - before.log;
  say('postgres-counts', `${label}, ${width} at a time`, {
    statements: (messages.statements - before.statements) / EXECUTIONS,
    round_trips: (messages.roundTrips - before.roundTrips) / EXECUTIONS,
    log_kb: logBytes / 1000 / EXECUTIONS,
  });
}

async function report(executionId: string): Promise<void> {
  const payloads = [
    { kind: REPORT_KIND.started, payload: '{"pid":4711}' },
    { kind: REPORT_KIND.ended, payload: '{"status":"succeeded","exit_code":0}' },
  ];
  const now = Date.now();
  const records = payloads.map(({ kind, payload }, index) => {
    return { kind, executionId, number: index + 1, at: now, payload: Buffer.from(payload) };
  });
  await store.appendReports({ machineId: MACHINE, records, clockOffsetMs: 0, now });
}

async function logPosition(): Promise<number> {
  const text = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes";
  const [row] = await postgres.query<{ bytes: number }>(text);
  return row?.bytes ?? Number.NaN;
}

async function startProxy(port: number, counts: Messages): Promise<Server> {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let answered = true;
    client.on('data', () => {
      if (answered) counts.roundTrips += 1;
      answered = false;
    });
    upstream.on('data', () => {
      answered = true;
    });
    countStatements(client, counts);
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function countStatements(client: Socket, counts: Messages): void {
  let rest: Buffer = Buffer.alloc(0);
  // The first message of a client has no type.
  let headerBytes = HEADER_BYTES - 1;
  client.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= headerBytes) {
      const length = rest.readInt32BE(headerBytes - 4) + headerBytes - 4;
      if (rest.length < length) return;
      if (headerBytes === HEADER_BYTES && rest[0] === EXECUTE) counts.statements += 1;
      rest = rest.subarray(length);
      headerBytes = HEADER_BYTES;
    }
  });
}
