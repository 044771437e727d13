/** Transactions that lose their answers with the database, that wait for each other, or that may not write. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transact } from '../../../../src/store/postgres/connections/commit.ts';
import { connect } from '../../../../src/store/postgres/connections/connection.ts';
import { prepareSchema } from '../../../../src/store/postgres/connections/schema.ts';
import { ConnectionSlot } from '../../../../src/store/postgres/connections/slots.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { StoreUnavailableError } from '../../../../src/store/store.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start({ keepsCommits: true });
});
afterAll(() => postgres?.stop());

test('a transaction that a crash undid is run again, even if another one was committed under its id since', async () => {
  const url = await postgres.schema();
  const address = parseDatabaseUrl(url);
  const first = await connect(address);
  await prepareSchema(address);
  await first.run({ text: 'CREATE TABLE written (who text)' });
  await first.close();
  const [ours, others] = [new ConnectionSlot(address), new ConnectionSlot(address)];
  const write = (who: string) => ({ text: 'INSERT INTO written VALUES ($1)', values: [who] });
  let attempts = 0;
  await transact(ours, address, async (connection) => {
    attempts += 1;
    await connection.run(write('ours'));
    if (attempts > 1) return { result: undefined };
    const text = 'SELECT pg_current_xact_id()::text::bigint AS id';
    const [{ id: lost } = { id: 0 }] = await connection.query<{ id: number }>({ text });
    await postgres.halt('immediate');
    await postgres.run();
    let given = 0;
    while (given < lost) {
      given = await transact(others, address, async (other) => {
        await other.run(write('other'));
        return { result: (await other.query<{ id: number }>({ text }))[0]?.id ?? 0 };
      });
    }
    return { result: undefined };
  });
  await Promise.all([ours.close(), others.close()]);
  expect(attempts).toBe(2);
  expect(await postgres.query("SELECT count(*)::int AS count FROM written WHERE who = 'ours'", url)).toEqual([
    { count: 1 },
  ]);
});

test('a transaction that the database ends because of a deadlock is run again', async () => {
  const url = await postgres.schema();
  const address = parseDatabaseUrl(url);
  const first = await connect(address);
  await prepareSchema(address);
  await first.run({
    text: "CREATE TABLE held (name text PRIMARY KEY, writes int); INSERT INTO held VALUES ('a', 0), ('b', 0)",
  });
  const slots = [new ConnectionSlot(address), new ConnectionSlot(address)];
  const write = (name: string) => ({ text: 'UPDATE held SET writes = writes + 1 WHERE name = $1', values: [name] });
  const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const ended = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const attempts = [0, 0];
  const orders = [
    ['a', 'b'],
    ['b', 'a'],
  ];
  await Promise.all(
    orders.map(async ([own = '', other = ''], index) => {
      await transact(slots[index] as ConnectionSlot, address, async (connection) => {
        attempts[index] = (attempts[index] ?? 0) + 1;
        // The attempt after a deadlock starts when the other transaction has ended. Otherwise it may take its row again before the
        // other one, which waits for it, has woken: a second deadlock.
        if (attempts[index] > 1) await ended[1 - index]?.promise;
        await connection.run(write(own));
        met[index]?.resolve();
        await met[1 - index]?.promise;
        // Sent together with COMMIT, like the last statement of the writers.
        return { result: undefined, last: [write(other)] };
      });
      ended[index]?.resolve();
    }),
  );
  await Promise.all(slots.map((slot) => slot.close()));
  expect(attempts.toSorted()).toEqual([1, 2]);
  expect(await first.query({ text: 'SELECT name, writes FROM held ORDER BY name' })).toEqual([
    { name: 'a', writes: 2 },
    { name: 'b', writes: 2 },
  ]);
  await first.close();
});

test('a database that refused writes for a while is written to again, on another connection', async () => {
  const url = await postgres.schema();
  const address = parseDatabaseUrl(url);
  const first = await connect(address);
  await prepareSchema(address);
  const slot = new ConnectionSlot(address);
  const write = () => transact(slot, address, async () => ({ result: (await slot.get()).processId }));
  // Sessions keep the settings of their start.
  await first.run({ text: 'ALTER DATABASE postgres SET default_transaction_read_only = on' });
  await expect(write()).rejects.toThrow(StoreUnavailableError);
  await first.run({ text: 'ALTER DATABASE postgres RESET default_transaction_read_only' });
  expect(await write()).toBeGreaterThan(0);
  await slot.close();
  await first.close();
});
