/** Connections for reads. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Readers } from '../../../../src/store/postgres/connections/slots.ts';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());

test('reads are planned to use indexes, and never compiled: a scan that cannot be avoided would count as expensive', async () => {
  const readers = new Readers(parseDatabaseUrl(postgres.url), 1);
  try {
    const names = "SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'jit') ORDER BY name";
    expect(await readers.query({ text: names })).toEqual([
      { name: 'enable_seqscan', setting: 'off' },
      { name: 'jit', setting: 'off' },
    ]);
  } finally {
    await readers.close();
  }
});
