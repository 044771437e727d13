/** Statements of one turn: sent together, answered one by one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Connection, connect } from '../../../../src/store/postgres/connections/connection.ts';
import { codeOf } from '../../../../src/store/postgres/connections/failures.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

const UNDEFINED_TABLE = '42P01';
const STALE_PLAN = '0A000';

let postgres: TestPostgres;
/** For transactions, and for reads that have nothing to do with each other. */
let exclusive: Connection;
let shared: Connection;

beforeAll(async () => {
  postgres = await TestPostgres.start();
  const address = parseDatabaseUrl(await postgres.schema());
  [exclusive, shared] = await Promise.all([connect(address, { isExclusive: true }), connect(address)]);
});
afterAll(async () => {
  await Promise.all([exclusive, shared].map((connection) => connection.close()));
  await postgres.stop();
});

const number = (value: number) => ({ name: 'number', text: 'SELECT $1::bigint AS number', values: [value] });
const wrong = { name: 'wrong', text: 'SELECT * FROM nowhere' };

async function outcomes(sent: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(sent);
  return settled.map((one) => (one.status === 'fulfilled' ? one.value : codeOf(one.reason)));
}

test('a statement of a transaction that fails ends those after it, and the next turn is answered', async () => {
  const sent = [number(1), wrong, number(2)].map((statement) => exclusive.query(statement));
  expect(await outcomes(sent)).toEqual([[{ number: 1 }], UNDEFINED_TABLE, UNDEFINED_TABLE]);
  expect(await outcomes([number(3), number(4)].map((one) => exclusive.query(one)))).toEqual([
    [{ number: 3 }],
    [{ number: 4 }],
  ]);
});

test('a name that was first used after a statement that failed is prepared when it is used again', async () => {
  const late = { name: 'late', text: 'SELECT 1 AS one' };
  await outcomes([exclusive.query(wrong), exclusive.query(late)]);
  await outcomes([exclusive.query(late), exclusive.query(wrong)]);
  expect(await exclusive.query(late)).toEqual([{ one: 1 }]);
});

test('a name that is given to another text is prepared again', async () => {
  expect(await exclusive.query({ name: 'twice', text: 'SELECT 1 AS one' })).toEqual([{ one: 1 }]);
  expect(await exclusive.query({ name: 'twice', text: 'SELECT 2 AS two' })).toEqual([{ two: 2 }]);
});

test('reads of one turn fail each for itself', async () => {
  const sent = [number(1), wrong, number(2)].map((statement) => shared.query(statement));
  expect(await outcomes(sent)).toEqual([[{ number: 1 }], UNDEFINED_TABLE, [{ number: 2 }]]);
});

test('a COMMIT is answered by what became of its transaction', async () => {
  const turn = ['BEGIN', 'COMMIT'].map((text) => exclusive.run({ text }));
  expect((await Promise.all(turn)).map(({ command }) => command)).toEqual(['BEGIN', 'COMMIT']);
  await outcomes(['BEGIN', 'SELECT 1 / 0'].map((text) => exclusive.run({ text })));
  expect(await exclusive.run({ text: 'COMMIT' })).toMatchObject({ command: 'ROLLBACK' });
});

test('the number of rows is that of the statement', async () => {
  await shared.run({ text: 'CREATE TABLE numbers (n bigint); INSERT INTO numbers VALUES (1), (2), (3)' });
  expect(await shared.run({ text: 'UPDATE numbers SET n = n WHERE n < $1', values: [3] })).toEqual({
    command: 'UPDATE',
    count: 2,
  });
});

test('a prepared statement whose table got a column fails once', async () => {
  const all = { name: 'all', text: 'SELECT * FROM growing' };
  await shared.run({ text: 'CREATE TABLE growing (a bigint); INSERT INTO growing VALUES (1)' });
  expect(await shared.query(all)).toEqual([{ a: 1 }]);
  await shared.run({ text: "ALTER TABLE growing ADD COLUMN b text DEFAULT 'new'" });
  expect(await outcomes([shared.query(all)])).toEqual([STALE_PLAN]);
  expect(await shared.query(all)).toEqual([{ a: 1, b: 'new' }]);
});

test('values arrive as they are, alone and in arrays', async () => {
  const texts = ['', 'NULL', '"', '\\', '{a,b}', ' spaced ', 'ä\n', null];
  const bytes = Buffer.from([0, 92, 34, 255]);
  const text =
    'SELECT $1::text[] AS texts, $2::bigint[] AS numbers, $3::boolean[] AS flags, $4::bytea[] AS chunks, $5::bytea AS chunk, $6::bigint[] AS none';
  const values = [texts, [1, null, -(2 ** 53) + 1], [true, false, undefined], [bytes, null], bytes, []];
  expect(await shared.query({ text, values })).toEqual([
    {
      texts,
      numbers: ['1', null, String(-(2 ** 53) + 1)],
      flags: [true, false, null],
      chunks: [bytes, null],
      chunk: bytes,
      none: [],
    },
  ]);
});
