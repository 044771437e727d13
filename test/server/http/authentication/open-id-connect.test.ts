/** Sign-in to the console by name, with an OpenID Connect provider in the test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startProvider, type TestProvider } from '../../../helpers/openid-provider.ts';
import { type FixtureOptions, type HttpFixture, httpFixture } from '../http-fixture.ts';

const FROM_CONSOLE = { 'sec-fetch-site': 'same-origin', 'x-execplane-console': '1' };
let provider: TestProvider;
let secretFile: string;

beforeAll(async () => {
  provider = await startProvider();
  secretFile = join(mkdtempSync(join(tmpdir(), 'execplane-oidc-')), 'secret');
  writeFileSync(secretFile, 'the-secret\n');
});

beforeEach(() => {
  provider.claims = { sub: '7', preferred_username: 'ada@example.org', groups: ['dev'] };
});

afterAll(async () => {
  await provider[Symbol.asyncDispose]();
  rmSync(join(secretFile, '..'), { recursive: true });
});

function fixture(options: FixtureOptions = {}) {
  const oidc = {
    oidcIssuer: provider.url,
    oidcClientId: 'console',
    oidcClientSecretFile: secretFile,
    oidcScopes: 'dev=executions:write;ops=admin,machines:write',
  };
  return httpFixture({ ...options, config: { ...oidc, ...options.config } });
}

function visit(http: HttpFixture, url: string, cookie = '') {
  return http.call('GET', url, { key: undefined, headers: { 'sec-fetch-site': 'cross-site', cookie } });
}

function cookiesOf(answer: { headers: Record<string, unknown> }): string[] {
  return [answer.headers['set-cookie'] ?? []].flat().map((cookie) => String(cookie));
}

function cookieNamed(answer: { headers: Record<string, unknown> }, name: string): string {
  const cookie = cookiesOf(answer).find((text) => text.startsWith(`${name}=`)) ?? '';
  return cookie.split(';')[0] ?? '';
}

/** Follows the redirect to the provider, which signs in at once, and the redirect back. */
async function throughProvider(http: HttpFixture, returnTo = '/machines?q=web') {
  const start = await visit(http, `/console/open-id-connect/start?return_to=${encodeURIComponent(returnTo)}`);
  expect(start.status).toBe(303);
  const back = await fetch(String(start.headers['location']), { redirect: 'manual' });
  const callback = new URL(back.headers.get('location') ?? '');
  return { path: callback.pathname + callback.search, attempt: cookieNamed(start, 'execplane_sign_in'), start };
}

async function signIn(http: HttpFixture) {
  const { path, attempt } = await throughProvider(http);
  const answer = await visit(http, path, attempt);
  return { answer, session: cookieNamed(answer, 'execplane_session') };
}

function withSession(session: string) {
  return { key: undefined, headers: { ...FROM_CONSOLE, cookie: session } };
}

test('a user of the provider gets a session with the scopes of their groups, and is named in the audit trail', async () => {
  await using http = await fixture();
  const { answer, session } = await signIn(http);
  expect([answer.status, answer.headers['location']]).toStrictEqual([303, '/machines?q=web']);
  expect(cookiesOf(answer)).toEqual([
    'execplane_sign_in=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    expect.stringMatching(/^execplane_session=[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/),
  ]);
  const who = await http.call('GET', '/console/session', withSession(session));
  expect(who.body).toMatchObject({ user: 'ada@example.org', scopes: ['executions:write', 'executions:read'] });
  const made = { ...withSession(session), body: { command: ['true'] } };
  expect((await http.call('POST', '/v1/machines/dm-one/executions', made)).status).toBe(200);
  expect((await http.call('GET', '/v1/audit', withSession(session))).status).toBe(403);
  const { body } = await http.call('GET', '/v1/audit');
  const acts = body.items.map(({ actor, action, outcome }) => [actor, action, outcome]);
  expect(acts).toContainEqual(['user:ada@example.org', 'console.sign_in', 'signed_in']);
  expect(acts).toContainEqual(['user:ada@example.org', 'execution.create', 'created']);
  const keys = await http.call('GET', '/v1/api-keys');
  expect(keys.body.items).toEqual([expect.objectContaining({ user: 'ada@example.org', scopes: ['executions:write'] })]);
});

test('signing out ends the session for good, and so does revoking its key', async () => {
  await using http = await fixture();
  const { session } = await signIn(http);
  expect((await http.call('DELETE', '/console/session', withSession(session))).status).toBe(204);
  expect((await http.call('GET', '/console/session', withSession(session))).status).toBe(401);
  const again = await signIn(http);
  const who = await http.call('GET', '/console/session', withSession(again.session));
  await http.call('DELETE', `/v1/api-keys/${String(who.body['api_key_id'])}`);
  expect((await http.call('GET', '/console/session', withSession(again.session))).status).toBe(401);
});

test('a session ends after twelve hours, also if it is in use', async () => {
  let clock = Date.now();
  await using http = await fixture({ now: () => clock });
  const { session } = await signIn(http);
  clock += 11 * 3_600_000;
  const renewed = await http.call('GET', '/console/session', withSession(session));
  expect(renewed.status).toBe(200);
  clock += 2 * 3_600_000;
  const cookie = cookieNamed(renewed, 'execplane_session');
  expect((await http.call('GET', '/console/session', withSession(cookie))).status).toBe(401);
});

test('a user whose groups have no scopes gets no session', async () => {
  provider.claims['groups'] = ['sales'];
  await using http = await fixture();
  const { answer, session } = await signIn(http);
  expect([answer.headers['location'], session]).toStrictEqual(['/sign-in?problem=no_access', '']);
  const { body } = await http.call('GET', '/v1/audit');
  expect(body.items).toContainEqual(expect.objectContaining({ actor: 'user:ada@example.org', outcome: 'no_access' }));
});

test('the scopes of several groups add up; the group * is everybody; a single group may be a string', async () => {
  provider.claims['groups'] = 'ops';
  await using http = await fixture({ config: { oidcScopes: 'ops=machines:write; *=executions:read' } });
  const { session } = await signIn(http);
  const who = await http.call('GET', '/console/session', withSession(session));
  expect(who.body['scopes']).toEqual(['executions:read', 'machines:write', 'machines:read']);
});

test('name and groups come from the userinfo endpoint if the token lacks them', async () => {
  provider.claims = { sub: '7' };
  provider.userinfo = { sub: '7', email: 'eve@example.org', email_verified: true, groups: ['dev'] };
  await using http = await fixture();
  const { session } = await signIn(http);
  expect((await http.call('GET', '/console/session', withSession(session))).body['user']).toBe('eve@example.org');
});

test('an unverified address is not used as a name', async () => {
  provider.claims = { sub: '7', email: 'admin@example.org', email_verified: false, groups: ['dev'] };
  provider.userinfo = { sub: '7' };
  await using http = await fixture();
  const { session } = await signIn(http);
  expect((await http.call('GET', '/console/session', withSession(session))).body['user']).toBe('7');
});

test.each([
  ['without the cookie of the attempt', (path: string) => [path, ''], 'took_too_long'],
  ['with an altered cookie', (path: string, attempt: string) => [path, `${attempt}x`], 'took_too_long'],
  [
    'with the state of another attempt',
    (path: string, attempt: string) => [path.replace(/state=[^&]*/, 'state=other'), attempt],
    'provider_failed',
  ],
  [
    'with an error of the provider',
    (path: string, attempt: string) => [path.replace(/code=[^&]*/, 'error=access_denied'), attempt],
    'provider_failed',
  ],
] as const)('a user who returns %s gets no session', async (_name, change, problem) => {
  await using http = await fixture();
  const { path, attempt } = await throughProvider(http);
  const [changed = '', cookie] = change(path, attempt);
  const answer = await visit(http, changed, cookie);
  expect(answer.headers['location']).toBe(`/sign-in?problem=${problem}`);
  expect(cookieNamed(answer, 'execplane_session')).toBe('');
});

test('a token for another client, nonce or issuer is refused', async () => {
  await using http = await fixture();
  for (const wrong of [{ aud: 'other' }, { nonce: 'other' }, { iss: 'http://127.0.0.1:1' }]) {
    provider.claims = { sub: '7', groups: ['ops'], ...wrong };
    expect((await signIn(http)).answer.headers['location']).toBe('/sign-in?problem=provider_failed');
  }
});

test.each(['https://evil.example/', '//evil.example', '/\\evil.example', '/a b', '/sign-in'])(
  'nobody is redirected to %s afterwards',
  async (returnTo) => {
    await using http = await fixture();
    const { path, attempt } = await throughProvider(http, returnTo);
    expect((await visit(http, path, attempt)).headers['location']).toBe('/');
  },
);

test('behind a proxy, the cookie is bound to this host and HTTPS, and the provider gets the public address', async () => {
  await using http = await fixture({ config: { trustProxy: '1', publicUrl: 'https://execplane.example' } });
  const start = await http.call('GET', '/console/open-id-connect/start', {
    key: undefined,
    headers: { 'x-forwarded-proto': 'https' },
  });
  expect(cookiesOf(start)[0]).toMatch(/^__Host-execplane_sign_in=.*; SameSite=Lax; Secure$/);
  const asked = new URL(String(start.headers['location'])).searchParams;
  expect(asked.get('redirect_uri')).toBe('https://execplane.example/console/open-id-connect/callback');
  expect([asked.get('code_challenge_method'), asked.get('scope')]).toEqual(['S256', 'openid profile email']);
});

test('an unreachable provider fails one sign-in; when it is back, the next succeeds', async () => {
  const { url, [Symbol.asyncDispose]: stop } = await startProvider();
  await stop();
  await using http = await fixture({ config: { oidcIssuer: url } });
  const failed = await visit(http, '/console/open-id-connect/start');
  expect(failed.headers['location']).toBe('/sign-in?problem=provider_failed');
  await using _back = await startProvider(Number(new URL(url).port));
  const start = await visit(http, '/console/open-id-connect/start');
  expect(start.headers['location']).toContain(`${url}/authorize`);
});

test('without a provider, sign-in by name is not offered', async () => {
  await using plain = await httpFixture();
  expect((await plain.call('GET', '/console/sign-in-ways', { key: undefined })).body).toEqual({});
  expect((await visit(plain, '/console/open-id-connect/start')).status).toBe(404);
  await using http = await fixture();
  const ways = await http.call('GET', '/console/sign-in-ways', { key: undefined });
  expect(ways.body).toEqual({ open_id_connect: { provider: new URL(provider.url).host } });
});
