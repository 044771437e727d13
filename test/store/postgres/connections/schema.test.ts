/** Databases that cannot be used: each is refused with a sentence that says what to do. */
import { type AddressInfo, connect as dial, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../../../src/store/postgres/connections/connection.ts';
import { prepareSchema } from '../../../../src/store/postgres/connections/schema.ts';
import { DatabaseUrlError, parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { StoreUnavailableError } from '../../../../src/store/store.ts';
import { Balancer } from '../../../helpers/balancer.ts';
import { until } from '../../../helpers/processes.ts';
import { useSchemas } from '../schemas.ts';

const schemas = useSchemas();

async function refusalOf(url: string): Promise<string> {
  const error: unknown = await prepareSchema(parseDatabaseUrl(url)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DatabaseUrlError);
  return (error as Error).message;
}

/** Returns the URL of the present schema with another user, database or options. */
function urlWith(change: (url: URL) => void): string {
  const url = new URL(schemas.url);
  change(url);
  return url.href;
}

test('a database with another encoding than UTF-8 is refused, with the command to create one', async () => {
  await schemas.query(`CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
  const refusal = await refusalOf(urlWith((url) => (url.pathname = '/latin')));
  expect(refusal).toMatch(/encoding of the database is LATIN1: .*--encoding UTF8/);
});

test('a search path without a schema is refused, and so is a session that may not write', async () => {
  const withOptions = (options: string) => urlWith((url) => url.searchParams.set('options', options));
  expect(await refusalOf(withOptions('-c search_path=nowhere'))).toMatch(/no schema of the search_path exists/);
  expect(await refusalOf(withOptions('-c default_transaction_read_only=on'))).toMatch(/read_only is on/);
});

test('a role that may not create tables is refused, with the commands that allow it', async () => {
  await schemas.query('CREATE ROLE bare LOGIN');
  const url = urlWith((own) => {
    own.username = 'bare';
    own.searchParams.delete('options');
  });
  expect(await refusalOf(url)).toMatch(/permission denied for schema public: make bare the owner .*grant CREATE/);
});

test.each([
  ['machines', 'CREATE TABLE machines (id int)'],
  ['schema_migrations', 'CREATE TABLE schema_migrations (version varchar PRIMARY KEY)'],
])('a database in which another program has a table %s is refused', async (_name, table) => {
  await schemas.query(table);
  expect(await refusalOf(schemas.url)).toMatch(/tables of another program .*use a database of its own/);
});

test('a pooler that gives a session to several connections is refused, one that does not is accepted', async () => {
  const shared = urlWith((url) => (url.port = String(schemas.port)));
  const through = async (isShared: boolean): Promise<string> => {
    const port = await pooler(schemas.port, isShared);
    return `${shared.replace(`:${schemas.port}/`, `:${port}/`)}&sslmode=disable`;
  };
  expect(await refusalOf(await through(true))).toMatch(
    /connection pooler .*pool_mode = transaction.* Give the address/,
  );
  await prepareSchema(parseDatabaseUrl(await through(false)));
});

test('a server waits for the migration of another one, however long it takes', async () => {
  const { end } = await migrationOfAnotherServer();
  const prepared = prepareSchema(parseDatabaseUrl(schemas.url));
  await until('it has asked for the lock', async () => (await schemas.query(ASKING)).length > 0);
  expect(await schemas.query(`SELECT to_regclass('schema_migrations') AS made`)).toEqual([{ made: null }]);
  await end();
  await prepared;
  expect(await schemas.query('SELECT 1 AS one FROM schema_migrations LIMIT 1')).toEqual([{ one: 1 }]);
});

test('a server that waits for a migration ends if its connection is lost without a sign', async () => {
  await migrationOfAnotherServer();
  const network = await Balancer.start([schemas.port]);
  onTestFinished(() => network.close());
  const url = `${schemas.url.replace(`:${schemas.port}/`, `:${network.port}/`)}&sslmode=disable`;
  const prepared = expect(prepareSchema(parseDatabaseUrl(url))).rejects.toBeInstanceOf(StoreUnavailableError);
  await until('it has asked for the lock', async () => (await schemas.query(ASKING)).length > 0);
  network.drop();
  await prepared;
}, 60_000);

const ASKING = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()`;

/** Holds the lock of migrations until `end` or the end of the test. */
async function migrationOfAnotherServer(): Promise<{ end: () => Promise<void> }> {
  const other = await connect(parseDatabaseUrl(schemas.url));
  onTestFinished(() => other.close());
  await other.run({ text: 'SELECT pg_advisory_lock(7411000001)' });
  return {
    end: async () => {
      await other.run({ text: 'SELECT pg_advisory_unlock(7411000001)' });
    },
  };
}

/** Id of the message that announces the process of a session. */
const BACKEND_KEY_DATA = 'K'.charCodeAt(0);
const TERMINATE = 'X'.charCodeAt(0);

/** Starts a pooler in front of `port`. `isShared`: all of its connections use one session. Returns its port. */
async function pooler(port: number, isShared: boolean): Promise<number> {
  const sockets: Socket[] = [];
  let session: { upstream: Socket; greeting: Buffer } | undefined;
  const listener = createServer((client) => {
    sockets.push(client);
    if (session !== undefined && isShared) {
      const { upstream, greeting } = session;
      client.once('data', () => {
        client.write(greeting);
        passOn(client, upstream);
      });
      return;
    }
    const upstream = dial(port, '127.0.0.1');
    sockets.push(upstream);
    client.once('data', (startup) => upstream.write(startup));
    upstream.once('data', (bytes) => {
      const greeting = Buffer.from(bytes);
      greeting.writeInt32BE(1, greeting.lastIndexOf(BACKEND_KEY_DATA, greeting.length - 'Z'.length - 12) + 5);
      session = { upstream, greeting };
      client.write(greeting);
      passOn(client, upstream);
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return (listener.address() as AddressInfo).port;
}

/** Connects a client to a session, from which answers go to the latest client that asked. */
function passOn(client: Socket, upstream: Socket): void {
  const answer = (bytes: Buffer): void => void client.write(bytes);
  client.on('data', (bytes) => {
    if (bytes[0] === TERMINATE) return client.end();
    upstream.removeAllListeners('data').on('data', answer);
    return upstream.write(bytes);
  });
}
