/** The routes that list, download and delete artifacts. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type HttpFixture, httpFixture, MACHINE } from '../http-fixture.ts';

const BYTES = Buffer.from('the quick brown fox\n'.repeat(10_000));
const SHA256 = createHash('sha256').update(BYTES).digest('hex');
const DAY_MS = 86_400_000;

let http: HttpFixture;
let now: number;

beforeEach(async () => {
  now = 1_750_000_000_000;
  http = await httpFixture({ now: () => now });
});

afterEach(() => http[Symbol.asyncDispose]());

/** Creates an execution with these artifacts. Returns its id. */
async function ran(files: Record<string, Buffer>): Promise<string> {
  const executionId = await http.create();
  await http.start(executionId);
  for (const [name, bytes] of Object.entries(files)) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += 65_536) pieces.push(bytes.subarray(at, at + 65_536));
    await http.report(executionId, { kind: 'artifact', payload: { name } });
    for (const payload of pieces) await http.report(executionId, { kind: 'artifact_data', payload });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await http.report(executionId, { kind: 'artifact_end', payload: { name, sha256 } });
  }
  await http.finish(executionId);
  return executionId;
}

const path = (rest = '') => `/v1/machines/${MACHINE}/artifacts${rest}`;

async function onlyArtifact() {
  const { body } = await http.call('GET', path());
  expect(body.items).toHaveLength(1);
  return body.items[0] as Record<string, string>;
}

test('an Execution lists its artifacts by name; without artifacts the field is absent', async () => {
  const executionId = await ran({ 'b/z.log': BYTES, a: Buffer.alloc(0) });
  const { body } = await http.call('GET', `/v1/machines/${MACHINE}/executions/${executionId}`);
  const artifacts = body['artifacts'] as { artifact_id: string; name: string }[];
  expect(artifacts.map(({ name }) => name)).toEqual(['a', 'b/z.log']);
  for (const entry of artifacts) expect(Object.keys(entry).sort()).toEqual(['artifact_id', 'name']);
  const plain = await ran({});
  expect((await http.call('GET', `/v1/machines/${MACHINE}/executions/${plain}`)).body).not.toHaveProperty('artifacts');
});

test('an Artifact has exactly the fields of the contract', async () => {
  const executionId = await ran({ 'dist/app.tar.gz': BYTES });
  const artifact = await onlyArtifact();
  expect(artifact).toEqual({
    artifact_id: expect.stringContaining(executionId),
    machine_id: MACHINE,
    execution_id: executionId,
    name: 'dist/app.tar.gz',
    size_bytes: BYTES.length,
    created_at: new Date(now).toISOString(),
    mime_type: 'application/gzip',
    sha256: SHA256,
    download_url: expect.stringMatching(/^http:\/\/[^/]+\/downloads\/art-.+\?expires=\d+&signature=[\w-]{43}$/),
    expires_at: new Date(now + 30 * DAY_MS).toISOString(),
  });
  expect((await http.call('GET', path(`/${artifact['artifact_id']}`))).body).toEqual(artifact);
  expect((await http.call('GET', `/v1/machines/dm-other/artifacts/${artifact['artifact_id']}`)).status).toBe(404);
  expect((await http.call('GET', path('/nothing'))).status).toBe(404);
});

test('a list has pages, newest first, and can be limited to one execution', async () => {
  const first = await ran({ a: BYTES, b: BYTES });
  await ran({ c: BYTES });
  const page = await http.call('GET', path('?limit=2'));
  expect(page.body.items.map((item) => item['name'])).toEqual(['c', 'b']);
  const rest = await http.call('GET', path(`?limit=2&cursor=${page.body.next_cursor}`));
  expect(rest.body.items.map((item) => item['name'])).toEqual(['a']);
  expect(rest.body).not.toHaveProperty('next_cursor');
  const ofFirst = await http.call('GET', path(`?execution_id=${first}`));
  expect(ofFirst.body.items.map((item) => item['name'])).toEqual(['b', 'a']);
});

describe('the bytes', () => {
  test('can be fetched whole and as ranges, and get 304 if unchanged', async () => {
    await ran({ 'x.html': BYTES });
    const content = path(`/${(await onlyArtifact())['artifact_id']}/content`);
    const whole = await http.call('GET', content);
    expect(whole.raw.equals(BYTES)).toBe(true);
    expect(whole.headers).toMatchObject({
      etag: `"${SHA256}"`,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment; filename="x.html"; filename*=UTF-8\'\'x.html',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    });
    const part = await http.call('GET', content, { headers: { range: 'bytes=65530-131080' } });
    expect(part.status).toBe(206);
    expect(part.headers['content-range']).toBe(`bytes 65530-131080/${BYTES.length}`);
    expect(part.raw.equals(BYTES.subarray(65_530, 131_081))).toBe(true);
    expect((await http.call('GET', content, { headers: { range: 'bytes=200000-' } })).status).toBe(416);
    expect((await http.call('GET', content, { headers: { 'if-none-match': `"${SHA256}"` } })).status).toBe(304);
  });

  test('cannot inject a header through their name', async () => {
    await ran({ 'dir/a"\r\nX-Evil: 1 %ü.txt': BYTES });
    const { headers } = await http.call('GET', path(`/${(await onlyArtifact())['artifact_id']}/content`));
    expect(headers['x-evil']).toBeUndefined();
    expect(headers['content-disposition']).toBe(
      'attachment; filename="a___X-Evil: 1 __.txt"; filename*=UTF-8\'\'a%22%0D%0AX-Evil%3A%201%20%25%C3%BC.txt',
    );
  });

  test('have a download_url that works without a key for 15 minutes, and for nothing else', async () => {
    await ran({ one: BYTES });
    await ran({ two: BYTES });
    const { body } = await http.call('GET', path());
    const [two, one] = body.items.map((item) => new URL(String(item['download_url'])));
    if (one === undefined || two === undefined) throw new Error('two artifacts');
    const get = (url: URL) => http.call('GET', `${url.pathname}${url.search}`, { key: undefined });
    const answer = await get(one);
    expect(answer.status).toBe(200);
    expect(answer.raw.equals(BYTES)).toBe(true);
    expect(answer.headers['content-security-policy']).toBe('sandbox');
    const longer = new URL(one);
    longer.searchParams.set('expires', String(Number(one.searchParams.get('expires')) + 1));
    const unsigned = new URL(one);
    unsigned.search = '';
    for (const url of [longer, unsigned, new URL(`${two.pathname}${one.search}`, one)]) {
      expect((await get(url)).status).toBe(401);
    }
    now += 15 * 60_000 + 1000;
    expect((await get(one)).status).toBe(401);
  });
});

test('DELETE returns the artifact, also for a repeat with the same Idempotency-Key; then the artifact is gone everywhere', async () => {
  const executionId = await ran({ gone: BYTES, kept: BYTES });
  const { body } = await http.call('GET', path());
  const gone = body.items.find((item) => item['name'] === 'gone') as Record<string, string>;
  const at = path(`/${gone['artifact_id']}`);
  const headers = { 'idempotency-key': 'once' };
  const deleted = await http.call('DELETE', at, { headers });
  expect(deleted.status).toBe(200);
  expect(deleted.body).toEqual(gone);
  const again = await http.call('DELETE', at, { headers });
  expect(again.body).toEqual(gone);
  expect(again.headers['idempotency-replayed']).toBe('true');
  expect((await http.call('DELETE', at)).status).toBe(404);
  expect((await http.call('GET', at)).status).toBe(404);
  expect((await http.call('GET', `${at}/content`)).status).toBe(404);
  const execution = (await http.call('GET', `/v1/machines/${MACHINE}/executions/${executionId}`)).body;
  expect(execution['artifacts']).toEqual([expect.objectContaining({ name: 'kept' })]);
  const link = new URL(String(gone['download_url']));
  expect((await http.call('GET', `${link.pathname}${link.search}`, { key: undefined })).status).toBe(404);
});

test('output that an agent could not store is reported in an event, and the execution keeps its result', async () => {
  const executionId = await http.create();
  await http.start(executionId);
  const reason = 'it is a symbolic link';
  await http.report(executionId, { kind: 'artifact_end', payload: { name: 'link', reason } });
  await http.finish(executionId);
  const events = await http.call('GET', `/v1/machines/${MACHINE}/executions/${executionId}/events`);
  expect(events.body.items.map(({ type, status, error_message }) => [type, status, error_message])).toEqual([
    ['lifecycle', 'queued', undefined],
    ['lifecycle', 'running', undefined],
    ['lifecycle', 'running', `The artifact "link" was not stored: ${reason}.`],
    ['lifecycle', 'succeeded', undefined],
  ]);
});

test.each([
  [{ path: '/etc/passwd' }, 'body.artifacts[0].path'],
  [{ path: '../x' }, 'body.artifacts[0].path'],
  [{ path: 'a/../../x' }, 'body.artifacts[0].path'],
  [{ path: '' }, 'body.artifacts[0].path'],
  [{ path: 'x', name: '../x' }, 'body.artifacts[0].name'],
  [{ path: 'x', if_missing: 'panic' }, 'body.artifacts[0].if_missing'],
])('a declaration that points outside the working directory gets 422: %j', async (declared, location) => {
  const body = { command: ['true'], artifacts: [declared] };
  const answer = await http.call('POST', `/v1/machines/${MACHINE}/executions`, { body });
  expect(answer.status).toBe(422);
  expect(answer.body.errors[0]?.location).toBe(location);
});

test('a key that can only read cannot delete', async () => {
  await ran({ a: BYTES });
  const { artifact_id: id } = await onlyArtifact();
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'reader', scopes: ['executions:read'] } });
  const key = String(made.body['key']);
  expect((await http.call('GET', path(), { key })).status).toBe(200);
  expect((await http.call('DELETE', path(`/${id}`), { key })).status).toBe(403);
  expect((await http.call('GET', path(), { key: undefined })).status).toBe(401);
});
