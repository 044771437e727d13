/** Idle agents cause no writes. Only the rows of the servers change, once for each heartbeat, for any number of agents. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPostgresStore } from '../../../../src/store/postgres/store.ts';
import { TestPlane } from '../../../helpers/control-plane.ts';
import { TestPostgres } from '../../../helpers/postgres.ts';
import { until } from '../../../helpers/processes.ts';
import { ScriptedAgent } from '../../../helpers/scripted-agent.ts';

const AGENTS = 20;
/** The rows with the heartbeats of the servers. */
const OF_SERVERS = ['cluster', 'replicas'];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres?.stop());

test('idle agents write nothing', async () => {
  const url = await postgres.schema();
  const start = async (): Promise<TestPlane> => {
    const store = await openPostgresStore({ url, version: 'test' });
    return TestPlane.start({ wrap: () => store, config: { heartbeatMs: 100 } });
  };
  const planes = [await start(), await start()];
  for (let index = 0; index < AGENTS; index += 1) {
    const plane = planes[index % planes.length] as TestPlane;
    await ScriptedAgent.join(plane.url, await plane.machine(`dm-idle-${index}`));
  }
  const beats = beatsOf(url);
  await beats(1);
  const [{ id } = { id: '' }] = await postgres.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id', url);
  // Time for dozens of heartbeats of each agent, and for each poll of a server.
  await beats(3);
  const written = await changedSince(id, url);
  expect(written.filter(({ table }) => !OF_SERVERS.includes(table))).toEqual([]);
  expect(written.map(({ rows }) => rows).reduce((sum, rows) => sum + rows, 0)).toBe(planes.length + 1);
});

/** Returns a function that waits until each server has sent a number of heartbeats. */
function beatsOf(url: string): (count: number) => Promise<void> {
  const read = async (): Promise<string> => {
    const text = `SELECT string_agg(id || ' ' || heartbeat_at, ',' ORDER BY id) AS beats FROM replicas`;
    return (await postgres.query<{ beats: string }>(text, url))[0]?.beats ?? '';
  };
  return async (count) => {
    for (let beat = 0; beat < count; beat += 1) {
      const before = (await read()).split(',');
      await until('every server has sent a heartbeat', async () => {
        const now = (await read()).split(',');
        return now.every((one) => !before.includes(one));
      });
    }
  };
}

/** Tables with rows that were written by the transaction or by later ones, and the number of those rows. */
async function changedSince(transactionId: string, url: string): Promise<{ table: string; rows: number }[]> {
  const tables = await postgres.query<{ name: string }>(
    'SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()',
    url,
  );
  const counts = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS table, count(*)::int AS rows FROM ${name} WHERE xmin::text::bigint >= ${transactionId}`,
  );
  return postgres.query(`SELECT * FROM (${counts.join(' UNION ALL ')}) c WHERE rows > 0`, url);
}
