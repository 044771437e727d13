/** Schedules over HTTP: accepted and refused requests. No schedule is due in these tests. */
import { expect, test } from 'vitest';
import { type HttpFixture, httpFixture, MACHINE } from '../../http-fixture.ts';

const NOW = Date.parse('2026-03-28T12:00:00.000Z');
const BODY = {
  cron: '30 2 * * *',
  time_zone: 'Europe/Berlin',
  selector: { machine_ids: [MACHINE] },
  command: ['true'],
};
const fixture = () => httpFixture({ now: () => NOW });
const post = (http: HttpFixture, body: object, more: object = {}) =>
  http.call('POST', '/v1/schedules', { body, ...more });

async function create(http: HttpFixture, body: object = {}): Promise<string> {
  const made = await post(http, { ...BODY, ...body });
  expect(made.status).toBe(200);
  return `/v1/schedules/${String(made.body['schedule_id'])}`;
}

test('a create returns the schedule without its secrets', async () => {
  await using http = await fixture();
  const body = {
    ...BODY,
    name: 'backup',
    env: { B: 'secret', A: 'secret' },
    stdin: 'secret',
    cwd: '/srv',
    timeout_ms: 5,
  };
  const made = await post(http, { ...body, overlap: 'queue', catch_up: true, max_concurrency: 3, max_failures: 1 });
  expect(made).toMatchObject({ status: 200 });
  expect(made.body).toEqual({
    schedule_id: expect.stringMatching(/^sched-[A-Za-z0-9]{16}$/),
    name: 'backup',
    cron: '30 2 * * *',
    time_zone: 'Europe/Berlin',
    selector: { machine_ids: [MACHINE] },
    overlap: 'queue',
    catch_up: true,
    max_concurrency: 3,
    max_failures: 1,
    command: ['true'],
    env_keys: ['A', 'B'],
    cwd: '/srv',
    timeout_ms: 5,
    paused: false,
    created_at: '2026-03-28T12:00:00.000Z',
    next_run_at: '2026-03-29T01:00:00.000Z',
  });
  const path = `/v1/schedules/${String(made.body['schedule_id'])}`;
  expect((await http.call('GET', path)).body).toEqual(made.body);
  expect((await http.call('GET', '/v1/schedules')).body.items).toEqual([made.body]);
  const { body: withTimes } = await http.call('GET', `${path}?next_runs=2`);
  expect(withTimes['next_runs']).toEqual(['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z']);
  expect((await http.call('GET', `${path}/runs`)).body).toEqual({ items: [] });
});

test('a schedule is changed field by field; a new command replaces env, stdin and cwd too', async () => {
  await using http = await fixture();
  const path = await create(http, { env: { A: 'x' }, cwd: '/srv' });
  const patch = async (body: object) => (await http.call('PATCH', path, { body })).body;
  expect(await patch({ time_zone: 'UTC' })).toMatchObject({
    cron: '30 2 * * *',
    next_run_at: '2026-03-29T02:30:00.000Z',
  });
  const hourly = await patch({ every: '1h', overlap: 'cancel' });
  expect(hourly).toMatchObject({ every_seconds: 3600, overlap: 'cancel', next_run_at: '2026-03-28T13:00:00.000Z' });
  expect(hourly).not.toHaveProperty('cron');
  expect(await patch({ selector: { labels: { role: 'web' } } })).toMatchObject({ env_keys: ['A'], cwd: '/srv' });
  const other = await patch({ command: ['false'], env: { B: 'y' } });
  expect(other).toMatchObject({ command: ['false'], env_keys: ['B'], selector: { labels: { role: 'web' } } });
  expect(other).not.toHaveProperty('cwd');
  const paused = await patch({ paused: true });
  expect(paused).toMatchObject({ paused: true, paused_reason: 'by_request' });
  expect(paused).not.toHaveProperty('next_run_at');
  expect(await patch({ paused: false })).toMatchObject({ paused: false, next_run_at: '2026-03-28T13:00:00.000Z' });
  expect(await http.call('DELETE', path)).toMatchObject({ status: 200 });
  expect(await http.call('GET', path)).toMatchObject({ status: 404 });
});

test.each([
  [{ cron: undefined }, 'body.cron'],
  [{ every: '5m' }, 'body.cron'],
  [{ cron: '61 * * * *' }, 'body.cron'],
  [{ cron: '* * * * * *' }, 'body.cron'],
  [{ cron: '0 0 30 2 *' }, 'body.cron'],
  [{ time_zone: 'Mars/Olympus' }, 'body.time_zone'],
  [{ cron: undefined, every: '5m' }, 'body.time_zone'],
  [{ cron: undefined, time_zone: undefined, every: '0s' }, 'body.every'],
  [{ cron: undefined, time_zone: undefined, every: 'never' }, 'body.every'],
  [{ cron: undefined, time_zone: undefined, every: '9999d' }, 'body.every'],
  [{ selector: {} }, 'body.selector'],
  [{ selector: { labels: {} } }, 'body.selector'],
  [{ command: [] }, 'body.command'],
  [{ overlap: 'merge' }, 'body.overlap'],
  [{ stdin_open: true }, 'body.stdin_open'],
])('%j is refused at %s', async (change, location) => {
  await using http = await fixture();
  const refused = await post(http, JSON.parse(JSON.stringify({ ...BODY, ...change })) as object);
  expect([refused.status, refused.body.errors[0]?.location]).toEqual([422, location]);
});

test('fields of a command are refused without a command', async () => {
  await using http = await fixture();
  const refused = await http.call('PATCH', await create(http), { body: { env: { A: 'x' } } });
  expect([refused.status, refused.body.errors[0]?.location]).toEqual([422, 'body.env']);
});

test('a preview says when a schedule would be due, and stores nothing', async () => {
  await using http = await fixture();
  const preview = await http.call('POST', '/v1/schedules/preview', { body: { cron: '0 0 1 1 *' } });
  expect(preview.body['next_runs']).toHaveLength(10);
  expect(preview.body['next_runs']).toContain('2027-01-01T00:00:00.000Z');
  expect((await http.call('GET', '/v1/schedules')).body.items).toEqual([]);
});

test('a repeated create makes one schedule', async () => {
  await using http = await fixture();
  const headers = { 'idempotency-key': 'once' };
  const [first, second] = [await post(http, BODY, { headers }), await post(http, BODY, { headers })];
  expect(second.body).toEqual(first.body);
  expect((await http.call('GET', '/v1/schedules')).body.items).toHaveLength(1);
});

test('a repeated deletion has the same answer, although the schedule is gone', async () => {
  await using http = await fixture();
  const path = await create(http);
  const headers = { 'idempotency-key': 'delete' };
  const first = await http.call('DELETE', path, { headers });
  const second = await http.call('DELETE', path, { headers });
  expect(first.status).toBe(200);
  expect(second).toMatchObject({ status: 200, body: first.body, headers: { 'idempotency-replayed': 'true' } });
  expect(await http.call('DELETE', path)).toMatchObject({ status: 404 });
});

test('a key that is limited to some machines makes schedules only on these, and sees only its own', async () => {
  await using http = await fixture();
  const path = await create(http);
  const made = await http.call('POST', '/v1/api-keys', {
    body: { name: 'k', scopes: ['executions:write'], machine_ids: [MACHINE] },
  });
  const headers = { authorization: `Bearer ${String(made.body['key'])}` };
  expect(await http.call('GET', path, { headers })).toMatchObject({ status: 404 });
  expect(await http.call('DELETE', path, { headers })).toMatchObject({ status: 404 });
  const other = { ...BODY, selector: { machine_ids: ['dm-two'] } };
  expect(await post(http, other, { headers })).toMatchObject({ status: 403 });
  expect(await post(http, BODY, { headers })).toMatchObject({ status: 200 });
  expect((await http.call('GET', '/v1/schedules', { headers })).body.items).toHaveLength(1);
});
