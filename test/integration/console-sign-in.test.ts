/** Signing in to the console by name, in a real browser. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { accessibilityFaults, CHROMIUM, hasChromium, launchChromium, openConsole } from '../helpers/console-page.ts';
import { startProvider, type TestProvider } from '../helpers/openid-provider.ts';
import { type RunningTestServer, runningServer } from '../helpers/running-server.ts';

let browser: Browser;
let provider: TestProvider;
let server: RunningTestServer;

beforeAll(async () => {
  if (!hasChromium) return;
  [browser, provider] = await Promise.all([launchChromium(), startProvider()]);
  server = await runningServer({
    oidcIssuer: provider.url,
    oidcClientId: 'console',
    oidcScopes: 'dev=executions:write,machines:read',
  });
  await server.machine('dm-one');
});

beforeEach(({ skip }) => {
  skip(!hasChromium, `not run: there is no ${CHROMIUM}`);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

test('a user who opens the address of a page and signs in at the provider sees that page', async () => {
  provider.claims = { sub: '7', preferred_username: 'ada@example.org', groups: ['dev'] };
  await using opened = await openConsole(browser, { url: server.url, path: '/machines?q=dm' });
  const { page, complaints } = opened;
  const button = page.getByRole('link', { name: `Sign in with ${new URL(provider.url).host}` });
  await button.waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await button.click();
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  expect(new URL(page.url()).search).toBe('?q=dm');
  await page.getByText('ada@example.org').waitFor();
  expect(await page.getByRole('link', { name: 'API keys' }).count()).toBe(0);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await button.waitFor();
  expect(complaints).toEqual([]);
});

test('a user without scopes sees an error, and can use an API key', async () => {
  provider.claims = { sub: '8', preferred_username: 'bob@example.org', groups: [] };
  await using opened = await openConsole(browser, { url: server.url });
  const { page } = opened;
  await page.getByRole('link', { name: /^Sign in with/ }).click();
  await page.getByText('You may not use this server').waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.getByLabel('API key').fill(server.client.key ?? '');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
});
