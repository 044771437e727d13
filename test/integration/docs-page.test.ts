/** The page at /docs in a real browser, Debian's Chromium. Without it these tests are reported as skipped. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type RunningTestServer, runningServer } from '../helpers/running-server.ts';

const CHROMIUM = '/usr/bin/chromium';

let browser: Browser;
let server: RunningTestServer;

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) return;
  server = await runningServer();
  await server.machine('dm-one');
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});

beforeEach(({ skip }) => {
  skip(!existsSync(CHROMIUM), `not run: there is no ${CHROMIUM}`);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

/** Opens the page. Returns it with lists of its requests and console errors. */
async function openPage(): Promise<AsyncDisposable & { page: Page; asked: string[]; complaints: string[] }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const asked: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(`${server.url}/docs`);
  return { page, asked, complaints, [Symbol.asyncDispose]: () => context.close() };
}

async function operation(page: Page, id: string, fields: Record<string, string>): Promise<Locator> {
  const place = page.locator(`#${id}`);
  await place.locator('summary').click();
  for (const [name, value] of Object.entries(fields)) await place.locator(`input[name="${name}"]`).fill(value);
  return place;
}

test('the page sends a command as filled in, with the key, to this server only, and stores the key nowhere', async () => {
  await using opened = await openPage();
  const { page, asked, complaints } = opened;
  await page.locator('#key').fill(server.client.key ?? '');
  const place = await operation(page, 'createExecution', { machine_id: 'dm-one', wait_ms: '0' });
  await place.locator('textarea').fill('{"command": ["echo", "<b>bold</b>"]}');
  await place.locator('[name=send]').click();
  const answer = place.locator('pre');
  await answer.filter({ hasText: '"execution_id"' }).waitFor();
  const shown = (await answer.textContent()) ?? '';
  expect(shown).toMatch(/^200 OK \(\d+ ms\)\n/);
  expect(shown).toContain('\nx-request-id: req-');
  expect(shown).toContain('"<b>bold</b>"');
  expect(JSON.parse(shown.slice(shown.indexOf('{')))).toMatchObject({ status: 'wake_in_progress' });
  expect(asked).toEqual([`${server.url}/docs`, `${server.url}/v1/machines/dm-one/executions?wait_ms=0`]);
  expect(complaints).toEqual([]);
  const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
  expect(kept).toBe('[{},{},""]');
  expect(await page.content()).not.toContain(server.client.key);
});

test('the page shows an error answer unchanged', async () => {
  await using opened = await openPage();
  await opened.page.locator('#key').fill('wrong');
  const place = await operation(opened.page, 'getMachine', { machine_id: 'dm-one' });
  await place.locator('[name=send]').click();
  await place.locator('pre').filter({ hasText: 'AUTH_INVALID' }).waitFor();
  expect(await place.locator('pre').textContent()).toMatch(/^401 Unauthorized /);
});

test('the page shows a stream as it arrives, until it is stopped', async () => {
  await using opened = await openPage();
  const { execution_id: id } = await server.client.machine('dm-one').create({ command: ['true'] });
  await opened.page.locator('#key').fill(server.client.key ?? '');
  const place = await operation(opened.page, 'listExecutionEvents', { machine_id: 'dm-one', execution_id: id });
  await place.locator('select').selectOption('text/event-stream');
  await place.locator('[name=send]').click();
  const answer = place.locator('pre');
  await answer.filter({ hasText: 'event: lifecycle' }).waitFor();
  expect(await place.locator('[name=send]').isDisabled()).toBe(true);
  await place.locator('[name=stop]').click();
  await answer.filter({ hasText: '(stopped)' }).waitFor();
  expect(await place.locator('[name=send]').isEnabled()).toBe(true);
});

test('the page runs no other script, and reaches no other host', async () => {
  await using opened = await openPage();
  const outcome = await opened.page.evaluate(`
    document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }));
    fetch('http://localhost:9/').then(() => 'reached', () => 'refused').then((elsewhere) => [window.ran ?? false, elsewhere]);
  `);
  expect(outcome).toEqual([false, 'refused']);
  const complaints = () => opened.complaints.join('\n');
  await expect.poll(complaints, { timeout: 10_000 }).toContain('script-src');
  await expect.poll(complaints, { timeout: 10_000 }).toContain('connect-src');
});

test('the machine is entered once, and a new execution is filled in everywhere', async () => {
  await using opened = await openPage();
  const { page } = opened;
  await page.locator('#key').fill(server.client.key ?? '');
  await page.locator('.common input[name=machine_id]').fill('dm-one');
  const create = await operation(page, 'createExecution', {});
  await create.locator('[name=send]').click();
  await create.locator('pre').filter({ hasText: '"execution_id"' }).waitFor();
  const id = /"execution_id": "([^"]+)"/.exec((await create.locator('pre').textContent()) ?? '')?.[1];
  const get = await operation(page, 'getExecution', {});
  expect(await get.locator('[name=machine_id]').inputValue()).toBe('dm-one');
  expect(await get.locator('[name=execution_id]').inputValue()).toBe(id);
});

test('a request can be copied as a curl line, without the key', async () => {
  await using opened = await openPage();
  const { page } = opened;
  await page.locator('#key').fill('xpk_secret');
  const place = await operation(page, 'createExecution', { machine_id: 'dm-one', wait_ms: '10' });
  await place.locator('textarea').fill(`{"command": ["echo", "it's"]}`);
  await place.locator('[name=curl]').click();
  const shown = (await place.locator('pre').textContent()) ?? '';
  expect(shown.split(' \\\n  ')).toEqual([
    `curl -sS -X POST '${server.url}/v1/machines/dm-one/executions?wait_ms=10'`,
    '-H "Authorization: Bearer $KEY"',
    "-H 'content-type: application/json'",
    `--data-binary '{"command": ["echo", "it'\\''s"]}'`,
  ]);
  expect(shown).not.toContain('secret');
});

test('executions come first, and nothing is wider than the screen of a phone', async () => {
  await using opened = await openPage();
  const { page } = opened;
  expect(await page.locator('h2').first().textContent()).toBe('Executions');
  await page.setViewportSize({ width: 360, height: 740 });
  for (const summary of await page.locator('summary').all()) await summary.click();
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
});
