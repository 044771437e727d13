/** Sessions of the console: made from a key, accepted only from pages of the console, ended with the key. */
import { expect, test } from 'vitest';
import { ADMIN_KEY, type HttpFixture, httpFixture, MACHINE } from '../http-fixture.ts';

const SESSION = '/console/session';
const FROM_CONSOLE = { 'sec-fetch-site': 'same-origin', 'x-execplane-console': '1' };
const HOUR_MS = 60 * 60 * 1000;

async function signIn(http: HttpFixture, key: string, headers: Record<string, string> = FROM_CONSOLE) {
  return http.call('POST', SESSION, { key: undefined, headers, body: { key } });
}

/** The Cookie header that a browser sends after this answer. */
function cookieOf(answer: { headers: Record<string, unknown> }): string {
  const [pair = ''] = String(answer.headers['set-cookie']).split(';');
  return pair;
}

function withSession(cookie: string, more: Record<string, string> = FROM_CONSOLE) {
  return { key: undefined, headers: { ...more, cookie } };
}

async function newKey(http: HttpFixture, body: Record<string, unknown>) {
  const made = await http.call('POST', '/v1/api-keys', { body: { name: 'test', ...body } });
  expect(made.status).toBe(200);
  return { key: String(made.body['key']), id: String(made.body['api_key_id']) };
}

test('signing in sets a cookie that scripts cannot read, other sites cannot send, and that does not contain the key', async () => {
  await using http = await httpFixture();
  const answer = await signIn(http, ADMIN_KEY);
  expect(answer.status).toBe(200);
  expect(answer.headers['set-cookie']).toMatch(
    /^execplane_session=[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  expect(Buffer.from(cookieOf(answer).split('=')[1] ?? '', 'base64url').includes(ADMIN_KEY)).toBe(false);
  expect(answer.body).toMatchObject({
    api_key_id: 'admin',
    version: '0.0.0',
    scopes: expect.arrayContaining(['admin']),
  });
  const listed = await http.call('GET', '/v1/machines', withSession(cookieOf(answer)));
  expect([listed.status, listed.body.items.length]).toStrictEqual([200, 1]);
  const audit = await http.call('GET', '/v1/audit');
  expect(audit.body.items).toContainEqual(expect.objectContaining({ action: 'console.sign_in', actor: 'admin' }));
});

test('behind an HTTPS proxy the cookie is limited to this host and to HTTPS', async () => {
  await using http = await httpFixture({ config: { trustProxy: '1' } });
  const https = { ...FROM_CONSOLE, 'x-forwarded-proto': 'https' };
  const answer = await signIn(http, ADMIN_KEY, https);
  expect(answer.headers['set-cookie']).toMatch(/^__Host-execplane_session=.*; Secure$/);
  const cookie = cookieOf(answer);
  expect((await http.call('GET', SESSION, withSession(cookie, https))).status).toBe(200);
  expect((await http.call('GET', SESSION, withSession(cookie))).status).toBe(401);
});

test('a wrong key is refused and sets no cookie', async () => {
  await using http = await httpFixture();
  const answer = await signIn(http, 'xpk_wrong');
  expect([answer.status, answer.body['error_code']]).toStrictEqual([401, 'AUTH_INVALID']);
  expect(answer.headers['set-cookie']).toBeUndefined();
});

test.each([
  ['another site', { 'sec-fetch-site': 'cross-site', 'x-execplane-console': '1' }, 401],
  ['another host of the same site', { 'sec-fetch-site': 'same-site', 'x-execplane-console': '1' }, 401],
  ['a form, which can add no header', { 'sec-fetch-site': 'same-origin' }, 401],
  ['another origin, told by an older browser', { origin: 'https://evil.example', 'x-execplane-console': '1' }, 401],
  ['no origin at all', { 'x-execplane-console': '1' }, 401],
  ['its own origin, over plain HTTP', { origin: 'http://localhost:80', 'x-execplane-console': '1' }, 200],
  ['its own page', FROM_CONSOLE, 200],
] as const)('a request that changes something, sent by %s', async (_name, headers, status) => {
  await using http = await httpFixture();
  const cookie = cookieOf(await signIn(http, ADMIN_KEY));
  const host = { host: 'localhost' };
  const body = { command: ['true'] };
  const created = await http.call('POST', `/v1/machines/${MACHINE}/executions`, {
    ...withSession(cookie, { ...headers, ...host }),
    body,
  });
  expect(created.status).toBe(status);
  expect(http.created).toHaveLength(status === 200 ? 1 : 0);
  expect((await signIn(http, ADMIN_KEY, { ...headers, ...host })).status).toBe(status);
});

test('a request from another site is refused even if it changes nothing; one from the address bar is accepted', async () => {
  await using http = await httpFixture();
  const cookie = cookieOf(await signIn(http, ADMIN_KEY));
  const status = async (site: string) =>
    (await http.call('GET', '/v1/machines', withSession(cookie, { 'sec-fetch-site': site }))).status;
  expect([await status('cross-site'), await status('none'), await status('same-origin')]).toStrictEqual([
    401, 200, 200,
  ]);
});

test('a session has the scopes of its key, and ends with it', async () => {
  await using http = await httpFixture();
  const { key, id } = await newKey(http, { scopes: ['executions:read'], machine_ids: [MACHINE], name: 'reader' });
  const answer = await signIn(http, key);
  expect(answer.body).toMatchObject({
    api_key_id: id,
    name: 'reader',
    scopes: ['executions:read'],
    machine_ids: [MACHINE],
  });
  const cookie = cookieOf(answer);
  const executions = `/v1/machines/${MACHINE}/executions`;
  expect((await http.call('GET', executions, withSession(cookie))).status).toBe(200);
  const refused = await http.call('POST', executions, { ...withSession(cookie), body: { command: ['true'] } });
  expect(refused.status).toBe(403);
  await http.call('DELETE', `/v1/api-keys/${id}`);
  const after = await http.call('GET', executions, withSession(cookie));
  expect([after.status, after.body['error_code']]).toStrictEqual([401, 'AUTH_INVALID']);
});

test('a key that another server revoked ends its sessions within two seconds', async () => {
  let now = Date.now();
  await using http = await httpFixture({ now: () => now });
  const { key, id } = await newKey(http, { scopes: ['machines:read'] });
  const cookie = cookieOf(await signIn(http, key));
  expect((await http.call('GET', '/v1/machines', withSession(cookie))).status).toBe(200);
  await http.store.revokeApiKey({ apiKeyId: id, now });
  now += 2000;
  expect((await http.call('GET', '/v1/machines', withSession(cookie))).status).toBe(401);
});

test('a changed cookie and a cookie of a server with another secret are refused', async () => {
  await using http = await httpFixture();
  const cookie = cookieOf(await signIn(http, ADMIN_KEY));
  const altered = cookie.slice(0, -2) + (cookie.endsWith('AA') ? 'BB' : 'AA');
  const answer = await http.call('GET', '/v1/machines', withSession(altered));
  expect([answer.status, answer.body['error_code']]).toStrictEqual([401, 'AUTH_REQUIRED']);
  const none = await http.call('GET', '/v1/machines', withSession('execplane_session='));
  expect(none.status).toBe(401);
});

test('a session ends if it is unused, is renewed while it is used, and never outlives seven days', async () => {
  const start = Date.now();
  let now = start;
  await using http = await httpFixture({ now: () => now });
  let cookie = cookieOf(await signIn(http, ADMIN_KEY));
  now += 5 * HOUR_MS;
  const early = await http.call('GET', SESSION, withSession(cookie));
  expect([early.status, early.headers['set-cookie']]).toStrictEqual([200, undefined]);
  let answers = 0;
  for (;;) {
    now += 6 * HOUR_MS;
    const answer = await http.call('GET', SESSION, withSession(cookie));
    if (answer.status === 401) break;
    if (answer.headers['set-cookie'] !== undefined) cookie = cookieOf(answer);
    answers += 1;
  }
  expect(answers).toBe(Math.floor((7 * 24 - 5) / 6));
  expect(now - start).toBeLessThan((7 * 24 + 6) * HOUR_MS);
});

test('signing out removes the cookie, and works after the session has ended', async () => {
  await using http = await httpFixture();
  const answer = await http.call('DELETE', SESSION, withSession('execplane_session=ended'));
  expect(answer.status).toBe(204);
  expect(answer.headers['set-cookie']).toBe('execplane_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict');
  expect((await http.call('DELETE', SESSION, { key: undefined })).status).toBe(401);
});

test('there is no user without a session, not even with a key', async () => {
  await using http = await httpFixture();
  expect((await http.call('GET', SESSION)).status).toBe(401);
  expect((await http.call('GET', SESSION, { key: undefined })).status).toBe(401);
});

test('the answer to a key that is too long does not contain it', async () => {
  await using http = await httpFixture();
  const answer = await signIn(http, 'xpk_'.repeat(2000));
  expect(answer.body.errors).toMatchObject([{ location: 'body.key' }]);
  expect(answer.raw.toString()).not.toContain('xpk_');
});
