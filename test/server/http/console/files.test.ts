/** The files of the console as they are served. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { codingFor, readConsoleFiles } from '../../../../src/server/http/console/files.ts';
import { httpFixture } from '../http-fixture.ts';

test('files are read with their compressed forms, and other files are ignored', () => {
  const folder = mkdtempSync(join(tmpdir(), 'execplane-console-'));
  mkdirSync(join(folder, 'assets'));
  for (const name of ['index.html', 'assets/a.js', 'assets/a.js.br', 'assets/a.js.gz', 'assets/a.map', '.hidden']) {
    writeFileSync(join(folder, name), name);
  }
  const files = readConsoleFiles(folder);
  rmSync(folder, { recursive: true });
  expect([...files.keys()].sort()).toEqual(['assets/a.js', 'index.html']);
  const script = files.get('assets/a.js');
  expect(script?.mediaType).toBe('text/javascript; charset=utf-8');
  expect([...(script?.coded.keys() ?? [])]).toEqual(['br', 'gzip']);
  expect(readConsoleFiles(join(folder, 'none')).size).toBe(0);
});

test.each([
  ['gzip, deflate, br', 'br'],
  ['gzip', 'gzip'],
  ['br;q=0, gzip;q=0.5', 'gzip'],
  ['br;q=0.0', undefined],
  ['identity', undefined],
  [undefined, undefined],
])('for Accept-Encoding: %s the file is sent as %s', (accepted, coding) => {
  const body = Buffer.from('x');
  const coded = new Map([
    ['br', body],
    ['gzip', body],
  ]);
  expect(codingFor({ mediaType: 'text/html', plain: body, coded }, accepted)).toBe(coding);
});

test('every path of a page serves the page, with a policy that forbids inline scripts', async () => {
  await using http = await httpFixture();
  for (const path of ['/', '/machines', '/machines/dm-one/executions/x', '/run?machine=dm-one', '/audit']) {
    const answer = await http.app.inject(path);
    expect([path, answer.statusCode]).toEqual([path, 200]);
    expect(answer.body).toContain('<div id="root">');
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-cache', 'x-frame-options': 'DENY' });
  }
});

test('its files may be cached for ever, and a missing file gets 404', async () => {
  await using http = await httpFixture();
  const { body } = await http.app.inject('/');
  const [script = ''] = /\/console\/assets\/index-[^"]+\.js/.exec(body) ?? [];
  const headers = { 'accept-encoding': 'br' };
  const answer = await http.app.inject({ url: script, headers });
  expect(answer.headers).toMatchObject({
    'cache-control': 'public, max-age=31536000, immutable',
    'content-encoding': 'br',
    'content-type': 'text/javascript; charset=utf-8',
    vary: 'accept-encoding',
  });
  for (const path of ['/console/assets/none.js', '/console/index.html', '/console/../package.json', '/nothing']) {
    expect([path, (await http.app.inject(path)).statusCode]).toEqual([path, 404]);
  }
});
