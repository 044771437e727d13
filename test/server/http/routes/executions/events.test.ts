import { expect, test } from 'vitest';
import { type HttpFixture, httpFixture, MACHINE } from '../../http-fixture.ts';

const EXECUTIONS = `/v1/machines/${MACHINE}/executions`;

async function pageOf(http: HttpFixture, executionId: string, query = '') {
  return (await http.call('GET', `${EXECUTIONS}/${executionId}/events?${query}`)).body;
}

test('the last page of a terminal log has no cursor; each page before has one', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  await http.report(executionId, { kind: 'stdout', payload: 'out' }, { kind: 'stderr', payload: 'err' });
  await http.finish(executionId, { stdout_bytes: 3, stderr_bytes: 3 });
  const seen: unknown[] = [];
  let cursor: string | undefined = '';
  for (let i = 0; cursor !== undefined; i += 1) {
    const page: Awaited<ReturnType<typeof pageOf>> = await pageOf(
      http,
      executionId,
      `limit=1${cursor && `&cursor=${cursor}`}`,
    );
    expect(page.items).toHaveLength(1);
    seen.push(...page.items);
    cursor = page.next_cursor;
    expect(i).toBeLessThan(6);
  }
  const at = expect.stringMatching(/Z$/);
  expect(seen).toStrictEqual([
    { sequence: 1, type: 'lifecycle', at, status: 'queued' },
    { sequence: 2, type: 'lifecycle', at, status: 'running' },
    { sequence: 3, type: 'stdout', at, chunk: 'out' },
    { sequence: 4, type: 'stderr', at, chunk: 'err' },
    { sequence: 5, type: 'lifecycle', at, status: 'succeeded', exit_code: 0 },
  ]);
});

test('an empty page has a cursor while more events may come', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const first = await pageOf(http, executionId);
  const empty = await pageOf(http, executionId, `cursor=${first.next_cursor}`);
  expect(empty.items).toStrictEqual([]);
  expect(empty.next_cursor).toBe(first.next_cursor);
});

test('wait_ms answers at the first event past the cursor', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const { next_cursor: cursor } = await pageOf(http, executionId);
  const watched = new Promise<void>((resolve) => {
    const { subscribe } = http.control;
    http.control.subscribe = (id, listener) => {
      resolve();
      return subscribe(id, listener);
    };
  });
  const pending = pageOf(http, executionId, `wait_ms=30000&cursor=${cursor}`);
  await watched;
  await http.start(executionId);
  expect((await pending).items).toMatchObject([{ sequence: 2, status: 'running' }]);
  const late = await pageOf(http, executionId, `wait_ms=1&cursor=${(await pending).next_cursor}`);
  expect(late.items).toStrictEqual([]);
});

test('an event committed between reading and waiting ends the wait', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  const { next_cursor: cursor } = await pageOf(http, executionId);
  const { listEvents } = http.store;
  http.store.listEvents = async (p) => {
    http.store.listEvents = listEvents;
    const events = await listEvents(p);
    await http.start(executionId);
    return events;
  };
  const page = await pageOf(http, executionId, `wait_ms=50000&cursor=${cursor}`);
  expect(page.items).toMatchObject([{ sequence: 2 }]);
});

test('bytes that are not UTF-8 become U+FFFD, and base64 returns them exactly', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0xff, 0x00, 0xe2, 0x82, 0xac]);
  await http.report(executionId, { kind: 'stdout', payload: bytes });
  expect((await pageOf(http, executionId)).items[2]).toMatchObject({ chunk: '\ufeffa\ufffd\0€' });
  const base64 = await pageOf(http, executionId, 'encoding=base64');
  expect(base64.items[2]).toMatchObject({ chunk: bytes.toString('base64') });
});

test('a page of huge events ends early', async () => {
  await using http = await httpFixture();
  const executionId = await http.create();
  await http.start(executionId);
  const payload = Buffer.alloc(65_536, 0x61);
  await http.report(executionId, ...Array.from({ length: 40 }, () => ({ kind: 'stdout' as const, payload })));
  const page = await pageOf(http, executionId, 'limit=1000');
  expect(page.items.length).toBeLessThan(25);
  expect(page.next_cursor).toBeTypeOf('string');
});
