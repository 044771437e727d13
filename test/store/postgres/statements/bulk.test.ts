/** Rows written by statements that list them, and by arrays. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Connection, connect } from '../../../../src/store/postgres/connections/connection.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { each, insertStatement, rowsStatement } from '../../../../src/store/postgres/statements/bulk.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

const COLUMNS = { id: 'bigint', user: 'text', done: 'boolean' } as const;
const INSERT = insertStatement('insert-rows', 'listed', COLUMNS);
const UPDATE = rowsStatement(
  'update-rows',
  COLUMNS,
  (rows) => `UPDATE listed l SET "user" = u."user", done = u.done FROM ${rows} WHERE l.id = u.id`,
);

let postgres: TestPostgres;
let connection: Connection;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  connection = await connect(parseDatabaseUrl(await postgres.schema()), { isExclusive: true });
  await connection.run({ text: 'CREATE TABLE listed (id bigint PRIMARY KEY, "user" text, done boolean)' });
});
afterAll(async () => {
  await connection.close();
  await postgres.stop();
});

test.each([
  { rows: 0, statements: 0 },
  { rows: 1, statements: 1 },
  { rows: 16, statements: 1 },
  { rows: 19, statements: 1 },
  { rows: 32, statements: 1 },
  { rows: 33, statements: 1 },
  { rows: 100, statements: 1 },
])('$rows rows take $statements statements, and each is written', async ({ rows, statements }) => {
  const written = (user: string) =>
    Array.from({ length: rows }, (_, id) => [id, id === 3 ? undefined : user, id === 2]);
  const stored = (user: string) =>
    Array.from({ length: rows }, (_, id) => ({ id, user: id === 3 ? null : user, done: id === 2 }));
  await connection.run({ text: 'DELETE FROM listed' });
  for (const [statement, user] of [
    [INSERT, 'a "quoted" user'],
    [UPDATE, 'another'],
  ] as const) {
    const sent = each(statement, written(user));
    expect(sent).toHaveLength(statements);
    await Promise.all(sent.map((one) => connection.run(one)));
    expect(await connection.query({ text: 'SELECT * FROM listed ORDER BY id' })).toEqual(stored(user));
  }
});
