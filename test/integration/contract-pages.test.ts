/** Contract §1, pages: limit, cursor, and the last page. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WireExecution, WirePage, WireProblem } from '../helpers/client.ts';
import { Deployment } from '../helpers/harness.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start();
  await deployment.joinToken({ machine_id: 'dm-away' });
});
afterAll(() => deployment.dispose());

const list = (query: Record<string, string | number> = {}, machineId = 'dm-away') =>
  deployment.client.get<WirePage<WireExecution>>(`/v1/machines/${machineId}/executions`, query);

async function createMany(count: number, machineId = 'dm-away'): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    ids.push((await deployment.client.machine(machineId).create({ command: ['/bin/echo', String(n)] })).execution_id);
  }
  return ids;
}

describe('lists', () => {
  let ids: string[];
  beforeAll(async () => {
    ids = await createMany(60);
  });

  test('a page is newest first, and has 50 items by default', async () => {
    const page = (await list()).json;
    expect(page.items.map(({ execution_id }) => execution_id)).toEqual(ids.toReversed().slice(0, 50));
    expect(page.next_cursor).toEqual(expect.any(String));
  });

  test('the last page of a list has no next_cursor', async () => {
    const first = (await list()).json;
    const second = (await list({ cursor: first.next_cursor ?? '' })).json;
    expect(second.items.map(({ execution_id }) => execution_id)).toEqual(ids.toReversed().slice(50));
    expect(second).not.toHaveProperty('next_cursor');
  });

  test('a page reached by a cursor is never empty, also when the last page is exactly full', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page: WirePage<WireExecution> = (await list({ limit: 20, ...(cursor === undefined ? {} : { cursor }) }))
        .json;
      expect(page.items.length).toBe(20);
      seen.push(...page.items.map(({ execution_id }) => execution_id));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids.toReversed());
  });

  test('a limit above 500 is clamped', async () => {
    const answer = await list({ limit: 1_000_000 });
    expect(answer.status).toBe(200);
    expect(answer.json.items.length).toBe(60);
  });

  test.each(['0', '-1', '1.5', 'x', '', '1e2', ' 5'])('limit %j gets 422 at query.limit', async (limit) => {
    const answer = await deployment.client.get<WireProblem>(deployment.client.machine('dm-away').path, { limit });
    expect(answer.status).toBe(422);
    expect(answer.json.errors?.[0]?.location).toBe('query.limit');
  });

  test.each(['x', 'AAAA', '', '..', 'ÿ', '-1', 'eyJhIjoxfQ'])(
    'a bad cursor %j gets 422 at query.cursor',
    async (cursor) => {
      const answer = await deployment.client.get<WireProblem>(deployment.client.machine('dm-away').path, { cursor });
      expect(answer.status).toBe(422);
      expect(answer.json.errors?.[0]?.location).toBe('query.cursor');
    },
  );

  test('a cursor of another route gets 422', async () => {
    const { execution_id } = await deployment.machine.sh('for i in 1 2 3; do echo $i; sleep 0.05; done');
    const events = await deployment.machine.page(execution_id, { limit: 1 });
    const answer = await list({ cursor: events.next_cursor ?? '' });
    expect(answer.status).toBe(422);
  });

  test('unknown query parameters are ignored', async () => {
    expect((await list({ no_such: 'x', limit: 1 })).json.items.length).toBe(1);
  });

  test('pages skip and repeat nothing while rows are inserted', async () => {
    await deployment.joinToken({ machine_id: 'dm-busy' });
    const before = await createMany(30, 'dm-busy');
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page: WirePage<WireExecution> = (
        await list({ limit: 7, ...(cursor === undefined ? {} : { cursor }) }, 'dm-busy')
      ).json;
      seen.push(...page.items.map(({ execution_id }) => execution_id));
      await createMany(5, 'dm-busy');
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(before.toReversed());
  });

  test('?status= filters, across pages too', async () => {
    await deployment.client.machine('dm-away').cancel(ids[3] ?? '');
    await deployment.client.machine('dm-away').cancel(ids[50] ?? '');
    const first = (await list({ status: 'cancelled', limit: 1 })).json;
    const second = (await list({ status: 'cancelled', limit: 1, cursor: first.next_cursor ?? '' })).json;
    expect([...first.items, ...second.items].map(({ execution_id }) => execution_id)).toEqual([ids[50], ids[3]]);
    expect(second).not.toHaveProperty('next_cursor');
  });

  test('an unknown status gets 422 at query.status', async () => {
    const answer = await deployment.client.get<WireProblem>(deployment.client.machine('dm-away').path, {
      status: 'done',
    });
    expect(answer.status).toBe(422);
    expect(answer.json.errors?.[0]?.location).toBe('query.status');
  });

  test('an empty list is an empty array without a cursor', async () => {
    await deployment.joinToken({ machine_id: 'dm-empty' });
    expect((await list({}, 'dm-empty')).json).toEqual({ items: [] });
  });
});

describe('events', () => {
  test('a page has 100 events by default, and at most 1000', async () => {
    const { execution_id } = await deployment.machine.run({
      command: ['/bin/sh', '-c', 'i=0; while [ $i -lt 130 ]; do echo $i; echo $i >&2; i=$((i+1)); done'],
    });
    const all = await deployment.machine.events(execution_id, { limit: 1 });
    const page = await deployment.machine.page(execution_id);
    expect(page.items.length).toBe(Math.min(100, all.length));
    expect((await deployment.machine.page(execution_id, { limit: 5000 })).items.length).toBe(
      Math.min(1000, all.length),
    );
  });

  test('the last page of a terminal log has no next_cursor', async () => {
    const { execution_id } = await deployment.machine.sh('echo x');
    const all = await deployment.machine.page(execution_id);
    expect(all).not.toHaveProperty('next_cursor');
    const fit = await deployment.machine.page(execution_id, { limit: all.items.length });
    expect(fit).not.toHaveProperty('next_cursor');
  });

  test('a page has a next_cursor while more events may come, even if it is empty', async () => {
    const { execution_id } = await deployment.machine.create({
      command: ['/bin/sh', '-c', 'echo ready; exec sleep 600'],
    });
    await deployment.machine.printed(execution_id, 'ready');
    const page = await deployment.machine.page(execution_id);
    const empty = await deployment.machine.page(execution_id, { cursor: page.next_cursor ?? '' });
    expect(empty.items).toEqual([]);
    expect(empty.next_cursor).toEqual(expect.any(String));
    await deployment.machine.cancel(execution_id, { wait_ms: 20_000 });
    const rest = await deployment.machine.page(execution_id, { cursor: empty.next_cursor ?? '' });
    expect(rest.items.at(-1)).toMatchObject({ type: 'lifecycle', status: 'cancelled' });
    expect(rest).not.toHaveProperty('next_cursor');
  });

  test.each(['0', '-3', '2.5', 'many'])('limit %j gets 422', async (limit) => {
    const { execution_id } = await deployment.machine.run({ command: ['/bin/true'] });
    expect((await deployment.client.get(deployment.machine.at(execution_id, '/events'), { limit })).status).toBe(422);
  });

  test('a bad cursor gets 422', async () => {
    const { execution_id } = await deployment.machine.run({ command: ['/bin/true'] });
    expect(
      (await deployment.client.get(deployment.machine.at(execution_id, '/events'), { cursor: 'nonsense!' })).status,
    ).toBe(422);
  });
});
