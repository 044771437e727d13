/** The console in a real browser, against the built server with an agent. Without Chromium these tests are reported as skipped. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CHROMIUM, hasChromium, launchChromium, openConsole, signIn } from '../helpers/console-page.ts';
import { Deployment } from '../helpers/harness.ts';

let browser: Browser;
let deployment: Deployment;

beforeAll(async () => {
  if (!hasChromium) return;
  [browser, deployment] = await Promise.all([launchChromium(), Deployment.start({ machine: 'dm-one' })]);
});

beforeEach(({ skip }) => {
  skip(!hasChromium, `not run: there is no ${CHROMIUM}`);
});

afterAll(async () => {
  await browser?.close();
  await deployment?.dispose();
});

function open(p: { path?: string; key?: string } = {}) {
  return openConsole(browser, { url: deployment.server.url, key: deployment.server.key, ...p });
}

async function newKey(body: Record<string, unknown>): Promise<{ key: string; api_key_id: string }> {
  return deployment.client.ask('POST', '/v1/api-keys', { body: { name: 'test', ...body } });
}

test('a user signs in, runs a shell line and sees both streams, the exit code and the timeline', async () => {
  await using opened = await open({ path: '/machines' });
  const { page, complaints } = opened;
  await page.getByRole('link', { name: 'dm-one' }).click();
  await page.getByRole('button', { name: 'Rotate credential' }).waitFor();
  // The machine has no provider, so that only its owner can start and stop it.
  expect(await page.getByRole('button', { name: 'Put to sleep' }).count()).toBe(0);
  await page.getByRole('link', { name: 'Run a command' }).last().click();
  await page.getByRole('textbox', { name: 'Command' }).fill('echo to stdout; echo to stderr >&2; exit 3');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('The command exited with code 3.').first().waitFor();
  const output = page.getByLabel('Lines of output');
  await output.getByText('to stdout').waitFor();
  expect(await output.locator('.stderr').textContent()).toContain('to stderr');
  await page.getByRole('button', { name: 'stdout', exact: true }).click();
  await output.getByText('to stderr').waitFor({ state: 'detached' });
  const timeline = page.getByLabel('Timeline');
  expect(await timeline.locator('li strong').allTextContents()).toEqual(['Queued', 'Running', 'Failed']);
  await page.getByRole('link', { name: 'Run again' }).click();
  expect(await page.getByRole('textbox', { name: 'Command' }).inputValue()).toBe(
    'echo to stdout; echo to stderr >&2; exit 3',
  );
  expect(complaints).toEqual([]);
});

test('scripts can read neither the key nor the session', async () => {
  await using opened = await open();
  const kept = await opened.page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
  expect(kept).toBe('[{},{},""]');
});

test('a wrong key and an unreachable server show different errors', async () => {
  await using opened = await openConsole(browser, { url: deployment.server.url });
  await opened.page.getByLabel('API key').fill('wrong');
  await opened.page.getByRole('button', { name: 'Sign in' }).click();
  await opened.page.getByText('The server does not know this key').waitFor();
});

test('a user with a limited key sees only what its scopes allow', async () => {
  const { key } = await newKey({ scopes: ['executions:read', 'machines:read'], machine_ids: ['dm-one'] });
  const { execution_id: id } = await deployment.machine.run({ command: ['echo', 'seen'] });
  await using opened = await open({ key, path: `/machines/dm-one/executions/${id}` });
  const { page } = opened;
  await page.getByLabel('Lines of output').getByText('seen').waitFor();
  const links = await page.getByRole('navigation').getByRole('link').allTextContents();
  expect(links).toEqual(['Overview', 'Machines', 'Executions', 'Batches', 'Schedules']);
  expect(await page.getByRole('link', { name: 'Run again' }).count()).toBe(0);
  const status = await page.evaluate(
    `fetch('/v1/machines/dm-one/executions', { method: 'POST', body: '{"command":["true"]}',
      headers: { 'content-type': 'application/json', 'x-execplane-console': '1' } }).then(({ status }) => status)`,
  );
  expect(status).toBe(403);
});

test('a session ends on every page when its key is revoked', async () => {
  const { key, api_key_id: id } = await newKey({ scopes: ['machines:read'] });
  await using opened = await open({ key, path: '/machines' });
  const { page } = opened;
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  await deployment.client.ask('DELETE', `/v1/api-keys/${id}`);
  await page.getByLabel('API key').waitFor();
  await signIn(page, deployment.server.key);
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/machines');
});

test('the page for a new machine waits with its join command until the agent has joined', async () => {
  await using opened = await open({ path: '/machines/add' });
  const { page } = opened;
  await page.getByLabel('Name').fill('dm-two');
  await page.getByRole('button', { name: 'Make a join token' }).click();
  await page.getByText(/^Waiting for the machine/).waitFor();
  const line = (await page.getByText(/EXECPLANE_JOIN_TOKEN=/).textContent()) ?? '';
  const token = /EXECPLANE_JOIN_TOKEN=(\S+)/.exec(line)?.[1] ?? '';
  await deployment.join('dm-two', { EXECPLANE_JOIN_TOKEN: token, EXECPLANE_LABELS: 'role=web,site=berlin' });
  await page.getByText('dm-two has joined').waitFor();
  await page.getByRole('link', { name: 'See the machine' }).click();
  await page.getByLabel('Facts').getByText('site=berlin').waitFor();
});

test('machines can be searched by label, and executions can be filtered by label', async () => {
  await deployment.join('dm-labelled', { EXECPLANE_LABELS: 'role=labelled' });
  const { execution_id: id } = await deployment.client.machine('dm-labelled').run({ command: ['echo', 'on it'] });
  await deployment.machine.run({ command: ['echo', 'elsewhere'] });
  await using opened = await open({ path: '/machines?q=role%3Dlabelled' });
  const { page, complaints } = opened;
  await page.getByText('1 of ').waitFor();
  await page.getByRole('link', { name: 'dm-labelled' }).waitFor();
  await page.goto(`${deployment.server.url}/executions`);
  await page.getByRole('link', { name: 'echo elsewhere' }).waitFor();
  await page.getByLabel('Label of the machine').fill('role=labelled');
  await page.getByRole('link', { name: 'echo elsewhere' }).waitFor({ state: 'detached' });
  await page.getByRole('link', { name: "echo 'on it'" }).click();
  expect(new URL(page.url()).pathname).toBe(`/machines/dm-labelled/executions/${id}`);
  expect(complaints).toEqual([]);
});

test('a command runs on all machines with a label, and its batch shows the progress', async () => {
  for (const id of ['dm-fleet-1', 'dm-fleet-2']) await deployment.join(id, { EXECPLANE_LABELS: 'role=fleet' });
  await using opened = await open({ path: '/run' });
  const { page, complaints } = opened;
  await page.getByRole('button', { name: 'All with labels' }).click();
  await page.getByRole('textbox', { name: 'Labels' }).fill('role=fleet');
  await page.getByText('2 machines now: dm-fleet-1, dm-fleet-2.').waitFor();
  await page.getByRole('textbox', { name: 'Command' }).fill('[ "$(hostname)" ] && echo of the fleet');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('2 succeeded').first().waitFor();
  await page.getByRole('link', { name: 'dm-fleet-2' }).waitFor();
  expect(await page.getByRole('link', { name: /^dm-fleet-/ }).allTextContents()).toEqual(['dm-fleet-1', 'dm-fleet-2']);
  await page.getByRole('link', { name: 'Batches' }).click();
  await page.getByRole('link', { name: /echo of the fleet/ }).waitFor();
  expect(complaints).toEqual([]);
});

test('the page of a waiting execution says why it waits and what would start it', async () => {
  await deployment.joinToken({ machine_id: 'dm-absent' });
  const made = await deployment.client.machine('dm-absent').create({ command: ['true'] });
  await using opened = await open({ path: `/machines/dm-absent/executions/${made.execution_id}` });
  const waits = opened.page.getByRole('status').filter({ hasText: /^Wait/ });
  await waits.getByText('It expires in').waitFor();
  expect(opened.complaints).toEqual([]);
});

test('a schedule can be created, runs, and can be paused and deleted', async () => {
  await using opened = await open({ path: '/run?machine=dm-one&when=cron' });
  const { page, complaints } = opened;
  await page.getByRole('textbox', { name: 'Cron expression' }).fill('0 25 * * *');
  await page.getByText(/hour/i).first().waitFor();
  await page.getByRole('textbox', { name: 'Cron expression' }).fill('0 3 1 1 *');
  await page.getByText(/^Next: /).waitFor();
  await page.getByRole('button', { name: 'Every so often' }).click();
  await page.getByRole('textbox', { name: 'Every' }).fill('1s');
  await page.getByRole('textbox', { name: 'Name' }).fill('heartbeat');
  await page.getByRole('textbox', { name: 'Command' }).fill('echo again');
  await page.getByRole('button', { name: 'Make the schedule' }).click();
  await page.getByRole('heading', { name: 'heartbeat' }).waitFor();
  await page.getByRole('link', { name: 'Started' }).first().waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Paused').waitFor();
  await page.getByRole('link', { name: 'Started' }).first().click();
  await page.getByRole('link', { name: 'dm-one' }).first().waitFor();
  await page.goBack();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No schedule yet').waitFor();
  expect(complaints).toEqual([]);
});

test('the labels of a machine can be changed, but a change by somebody else is not overwritten', async () => {
  await deployment.joinToken({ machine_id: 'dm-changed' });
  await using opened = await open({ path: '/machines/dm-changed' });
  const { page } = opened;
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Labels').fill('role=db, site=oslo');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByLabel('Facts').getByText('site=oslo').waitFor();
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  await deployment.client.request('PATCH', '/v1/machines/dm-changed', { body: { labels: { role: 'cache' } } });
  await dialog.getByLabel('Labels').fill('role=web');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByRole('alert').waitFor();
  const { labels } = await deployment.client.ask<{ labels: object }>('GET', '/v1/machines/dm-changed?include=labels');
  expect(labels).toEqual({ role: 'cache' });
});

test('a machine is removed only after the user has typed its name', async () => {
  await deployment.joinToken({ machine_id: 'dm-gone' });
  await using opened = await open({ path: '/machines/dm-gone' });
  const { page } = opened;
  await page.getByText('No agent has joined as this machine yet').waitFor();
  await page.getByRole('button', { name: 'Remove' }).click();
  const dialog = page.getByRole('dialog');
  const remove = dialog.getByRole('button', { name: 'Remove' });
  expect(await remove.isDisabled()).toBe(true);
  await dialog.getByLabel('Type dm-gone to go on').fill('dm-gone');
  await remove.click();
  await page.getByRole('heading', { level: 1, name: 'Machines' }).waitFor();
  await page.getByRole('link', { name: 'dm-gone' }).waitFor({ state: 'detached' });
});

test('signing out clears the page, and ends its access', async () => {
  await using opened = await open({ path: '/audit' });
  const { page } = opened;
  await page.getByText('Signed in').first().waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  expect(await page.evaluate("fetch('/v1/audit').then(({ status }) => status)")).toBe(401);
});

test('the chosen theme is kept', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const light = await ground();
  await page.getByRole('button', { name: 'Dark' }).click();
  await expect.poll(ground, { timeout: 10_000 }).not.toBe(light);
  const dark = await ground();
  await page.reload();
  await page.getByRole('heading', { level: 1 }).waitFor();
  expect(await ground()).toBe(dark);
});

test('a key can be created, is shown once, and can be revoked', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByLabel('Name').fill('for the build');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const key = (await page.locator('dialog pre').textContent()) ?? '';
  expect((await deployment.client.with(key).get('/v1/machines/dm-one/executions')).status).toBe(200);
  await page.getByRole('button', { name: 'I have it' }).click();
  await page.getByRole('button', { name: 'Revoke for the build' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByRole('cell', { name: 'for the build', exact: true }).waitFor({ state: 'detached' });
  expect((await deployment.client.with(key).get('/v1/machines/dm-one/executions')).status).toBe(401);
});

test('every page can be reached with the keyboard', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  // Sent without a pause: the dialog that Escape closes still has the focus when the next key arrives.
  await Promise.all(['Escape', 'g', 'm'].map((key) => page.keyboard.press(key)));
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('dm-one');
  await page.waitForURL('**/machines?q=dm-one');
  await page.getByText(/^1 of /).waitFor();
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'dm-one' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('audit');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
});

test('the page runs no script of another origin, and reaches no other host', async () => {
  await using opened = await open();
  const outcome = await opened.page.evaluate(`
    document.body.append(Object.assign(document.createElement('iframe'), { src: 'http://localhost:9/' }));
    fetch('http://localhost:9/').then(() => 'reached', () => 'refused');
  `);
  expect(outcome).toBe('refused');
  await expect.poll(() => opened.complaints.join('\n'), { timeout: 10_000 }).toContain('connect-src');
});
