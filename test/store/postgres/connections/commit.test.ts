/** COMMITs whose answers are lost together with the database: it gives out transaction ids a second time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transact } from '../../../../src/store/postgres/connections/commit.ts';
import { connect } from '../../../../src/store/postgres/connections/connection.ts';
import { migrate } from '../../../../src/store/postgres/connections/migrations.ts';
import { ConnectionSlot } from '../../../../src/store/postgres/connections/slots.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start({ keepsCommits: true });
});
afterAll(() => postgres?.stop());

test('a transaction that a crash undid is run again, although another one was committed under its id since', async () => {
  const url = await postgres.schema();
  const address = parseDatabaseUrl(url);
  const first = await connect(address);
  await migrate(first);
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
