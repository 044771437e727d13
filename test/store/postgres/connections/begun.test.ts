/** Transactions that are begun together with the COMMIT of the one before. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { BegunTransaction } from '../../../../src/store/postgres/connections/begun.ts';
import { transact } from '../../../../src/store/postgres/connections/commit.ts';
import { connect } from '../../../../src/store/postgres/connections/connection.ts';
import { prepareSchema } from '../../../../src/store/postgres/connections/schema.ts';
import { ConnectionSlot } from '../../../../src/store/postgres/connections/slots.ts';
import { type DatabaseAddress, parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';
import { until } from '../../../helpers/processes.ts';

let postgres: TestPostgres;
let url = '';
let address: DatabaseAddress;
let slot: ConnectionSlot;
let begun: BegunTransaction;

beforeAll(async () => {
  postgres = await TestPostgres.start({ keepsCommits: true });
});
afterAll(() => postgres?.stop());
beforeEach(async () => {
  url = await postgres.schema();
  address = parseDatabaseUrl(url);
  const first = await connect(address);
  await prepareSchema(address);
  await first.run({ text: 'CREATE TABLE written (who text)' });
  await first.close();
  slot = new ConnectionSlot(address, { isExclusive: true });
  begun = new BegunTransaction();
});
afterEach(async () => {
  begun.drop();
  await slot.close();
});

/** Writes a row. Returns the id of the transaction. */
function write(who: string, meanwhile = async (): Promise<void> => undefined): Promise<string> {
  let transactionId = '';
  return transact(
    slot,
    address,
    async (connection) => {
      await connection.run({ text: 'INSERT INTO written VALUES ($1)', values: [who] });
      const text = 'SELECT pg_current_xact_id()::text AS id';
      transactionId = (await connection.query<{ id: string }>({ text }))[0]?.id ?? '';
      await meanwhile();
      return { result: transactionId };
    },
    begun,
  );
}

const written = async () =>
  (await postgres.query<{ who: string }>('SELECT who FROM written ORDER BY 1', url)).map(({ who }) => who);

test('the next transaction runs in the one that was begun, and its rows are committed', async () => {
  let id: Promise<string> | undefined;
  // Now and then none is begun.
  await until('one is begun', async () => {
    await write('first');
    id = begun.take(await slot.get());
    return id !== undefined;
  });
  const connection = await slot.get();
  const [row] = await connection.query<{ id: string }>({ text: 'SELECT pg_current_xact_id()::text AS id' });
  expect(row?.id).toBe(await id);
  await connection.run({ text: 'ROLLBACK' });
  await write('second');
  await write('third');
  expect(new Set(await written())).toEqual(new Set(['first', 'second', 'third']));
});

test('one that nobody takes is rolled back soon', async () => {
  await write('first');
  await until('no session is in a transaction', async () => {
    const text = "SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    return (await postgres.query(text)).length === 0;
  });
  await write('second');
  expect(await written()).toEqual(['first', 'second']);
});

test('one that fails leaves nothing, and the next one is written', async () => {
  await write('first');
  const failed = write('lost', () => Promise.reject(new Error('a fault')));
  await expect(failed).rejects.toThrow('a fault');
  await write('second');
  expect(await written()).toEqual(['first', 'second']);
});

test('one that a crash undid is run again', async () => {
  await write('first');
  let crashes = 0;
  await write('second', async () => {
    crashes += 1;
    if (crashes > 1) return;
    await postgres.halt('immediate');
    await postgres.run();
  });
  expect(crashes).toBe(2);
  expect(await written()).toEqual(['first', 'second']);
});
