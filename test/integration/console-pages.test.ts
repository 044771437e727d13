/** Checks all pages of the console against WCAG AA with axe, in both themes and two sizes. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  accessibilityFaults,
  CHROMIUM,
  hasChromium,
  launchChromium,
  openConsole,
  PHONE,
  signIn,
  WIDE,
} from '../helpers/console-page.ts';
import { type RunningTestServer, runningServer } from '../helpers/running-server.ts';

let browser: Browser;
let server: RunningTestServer;
let waiting: string;
let batch: string;
let schedule: string;

beforeAll(async () => {
  if (!hasChromium) return;
  [browser, server] = await Promise.all([launchChromium(), runningServer()]);
  await server.machine('dm-one');
  ({ execution_id: waiting } = await server.client.machine('dm-one').create({
    command: ['/bin/sh', '-c', 'echo one'],
    env: { STAGE: 'test' },
  }));
  const many = { selector: { machine_ids: ['dm-one'] }, command: ['/bin/sh', '-c', 'echo many'] };
  ({ batch_id: batch } = await server.client.ask<{ batch_id: string }>('POST', '/v1/batches', { body: many }));
  const nightly = { ...many, name: 'nightly', cron: '0 3 * * *', time_zone: 'Europe/Berlin' };
  ({ schedule_id: schedule } = await server.client.ask<{ schedule_id: string }>('POST', '/v1/schedules', {
    body: nightly,
  }));
  await server.client.ask('POST', '/v1/api-keys', { body: { name: 'ci', scopes: ['executions:write'] } });
  await server.client.ask('POST', '/v1/join-tokens', { body: { machine_id: 'dm-two' } });
});

beforeEach(({ skip }) => {
  skip(!hasChromium, `not run: there is no ${CHROMIUM}`);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

/** The element that shows that a page has loaded. */
const PAGES = () =>
  [
    ['/', 'Overview'],
    ['/machines', 'Machines'],
    ['/machines/dm-one', 'dm-one'],
    ['/machines/dm-one/terminals', 'Terminals on dm-one'],
    ['/machines/add', 'Add a machine'],
    [`/machines/dm-one/executions/${waiting}`, 'echo one'],
    ['/executions', 'Executions'],
    ['/batches', 'Batches'],
    [`/batches/${batch}`, 'echo many'],
    ['/schedules', 'Schedules'],
    [`/schedules/${schedule}`, 'nightly'],
    ['/run?when=cron', 'Run a command'],
    ['/run?on=labels&labels=role%3Dweb', 'Run a command'],
    ['/run?machine=dm-one&command=["true"]&env=STAGE', 'Run a command'],
    ['/keys', 'API keys'],
    ['/tokens', 'Join tokens'],
    ['/webhooks', 'Webhooks'],
    ['/audit', 'Audit'],
  ] as const;

/** Only colours depend on the theme, and only positions depend on the size. */
const OTHER_LOOKS = [
  ['dark', WIDE],
  ['dark', PHONE],
  ['light', PHONE],
] as const;

async function faultsInEveryLook(page: Page): Promise<string[]> {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
  const faults = await accessibilityFaults(page);
  for (const [colorScheme, size] of OTHER_LOOKS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    const found = await accessibilityFaults(page, ['color-contrast', 'target-size', 'scrollable-region-focusable']);
    faults.push(...found.map((fault) => `${colorScheme}, ${size.width}: ${fault}`));
    const overflows = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
    if (overflows === true) faults.push(`${size.width}: wider than the screen`);
  }
  return faults;
}

test('every page is accessible, light and dark, on a wide screen and a phone', async () => {
  await using opened = await openConsole(browser, { url: server.url });
  const { page, complaints } = opened;
  await page.getByRole('heading', { name: 'Sign in to Execplane' }).waitFor();
  const faults = await faultsInEveryLook(page);
  await signIn(page, server.client.key ?? '');
  for (const [path, heading] of PAGES()) {
    await page.goto(server.url + path);
    await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
    await page.locator('.loading').first().waitFor({ state: 'detached' });
    faults.push(...(await faultsInEveryLook(page)).map((fault) => `${path}: ${fault}`));
  }
  expect(faults).toEqual([]);
  expect(complaints).toEqual([]);
});

test('the overlays are accessible', async () => {
  await using opened = await openConsole(browser, { url: server.url, path: '/keys', key: server.client.key ?? '' });
  const { page } = opened;
  const faults: string[] = [];
  const look = async (title: string): Promise<void> => {
    await page.getByRole('dialog', { name: title }).waitFor();
    faults.push(...(await accessibilityFaults(page)).map((fault) => `${title}: ${fault}`));
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  };
  await page.getByRole('button', { name: 'Make a key' }).click();
  await look('Make an API key');
  await page.getByRole('button', { name: 'Revoke ci' }).click();
  await look('Revoke “ci”?');
  await page.keyboard.press('?');
  await look('Keys');
  await page.keyboard.press('Control+k');
  await look('Go to');
  expect(faults).toEqual([]);
});

test('a long label leaves room for the others in the list of machines', async () => {
  const labels = { 'a-long-label': 'x'.repeat(200), role: 'web', site: 'berlin' };
  await server.client.request('PATCH', '/v1/machines/dm-one', { body: { labels } });
  await using opened = await openConsole(browser, { url: server.url, path: '/machines', key: server.client.key ?? '' });
  const row = opened.page.getByRole('row').filter({ hasText: 'site=berlin' });
  const [cell, last] = await Promise.all([
    row.getByRole('cell').filter({ hasText: 'site=berlin' }).boundingBox(),
    row.getByText('site=berlin').boundingBox(),
  ]);
  expect(cell?.width).toBeGreaterThan(0);
  const edge = (box: typeof cell) => (box === null ? 0 : box.x + box.width);
  expect(edge(last)).toBeLessThanOrEqual(edge(cell));
});

test('an unknown path and a missing resource show an error', async () => {
  await using opened = await openConsole(browser, {
    url: server.url,
    path: '/machines/dm-none',
    key: server.client.key ?? '',
  });
  const { page } = opened;
  await page.getByText('Not found').waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.goto(`${server.url}/machines/dm-one/nothing/here`);
  await page.getByText('There is no such page').waitFor();
});

test('the page loads everything from this server, and the first page is smaller than 300 KB', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const sizes: Promise<number>[] = [];
  const hosts = new Set<string>();
  page.on('response', (response) => {
    hosts.add(new URL(response.url()).host);
    sizes.push(
      response
        .request()
        .sizes()
        .then(({ responseBodySize }) => responseBodySize),
    );
  });
  await page.goto(server.url);
  await page.getByLabel('API key').waitFor();
  await page.waitForLoadState('networkidle');
  expect([...hosts]).toEqual([new URL(server.url).host]);
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeLessThan(300_000);
  await context.close();
});
