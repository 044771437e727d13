/** The console in a real browser, against the built server with an agent. Where there is no Chromium, these tests say so. */
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CHROMIUM, hasChromium, launchChromium, openConsole, signIn } from '../helpers/console-page.ts';
import { World } from '../helpers/harness.ts';

let browser: Browser;
let world: World;

beforeAll(async () => {
  if (!hasChromium) return;
  [browser, world] = await Promise.all([
    launchChromium(),
    World.start({ machine: 'dm-one', server: { EXECPLANE_MAX_OUTPUT_BYTES: String(100 * 2 ** 20) } }),
  ]);
});

beforeEach(({ skip }) => {
  skip(!hasChromium, `not run: there is no ${CHROMIUM}`);
});

afterAll(async () => {
  await browser?.close();
  await world?.dispose();
});

function open(p: { path?: string; key?: string } = {}) {
  return openConsole(browser, { url: world.server.url, key: world.server.key, ...p });
}

async function newKey(body: Record<string, unknown>): Promise<{ key: string; api_key_id: string }> {
  return world.client.ask('POST', '/v1/api-keys', { body: { name: 'test', ...body } });
}

test('from the key to the result: sign in, run a shell line, see both streams, the exit code, the timeline', async () => {
  await using opened = await open({ path: '/machines' });
  const { page, complaints } = opened;
  await page.getByRole('link', { name: 'dm-one' }).click();
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

test('neither key nor session is within reach of a script', async () => {
  await using opened = await open();
  const kept = await opened.page.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie])');
  expect(kept).toBe('[{},{},""]');
});

test('a wrong key is told apart from a server that is away', async () => {
  await using opened = await openConsole(browser, { url: world.server.url });
  await opened.page.getByLabel('API key').fill('wrong');
  await opened.page.getByRole('button', { name: 'Sign in' }).click();
  await opened.page.getByText('The server does not know this key').waitFor();
});

test('output comes live, and goes on through a restart of the server without a gap or a repeat', async () => {
  const gate = `${world.dir}/gate`;
  const { execution_id: id } = await world.machine.create({
    command: ['/bin/sh', '-c', `echo before; while [ ! -e ${gate} ]; do sleep 0.1; done; echo behind; exit 0`],
  });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  const { page, complaints } = opened;
  const output = page.getByLabel('Lines of output');
  await output.getByText('before').waitFor();
  await world.server.kill();
  await world.server.restart();
  await world.connected();
  await world.machine.run({ command: ['/usr/bin/touch', gate] });
  await output.getByText('behind').waitFor();
  await page.locator('.status', { hasText: 'Succeeded' }).waitFor();
  expect(await output.locator('.output-line .text').allTextContents()).toEqual(['before', 'behind']);
  expect(complaints).toEqual([]);
});

test('an output that no page can hold is read part by part, to its last line', async () => {
  const { execution_id: id } = await world.machine.run({ command: ['/usr/bin/seq', '1', '7000000'] });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  const { page } = opened;
  const output = page.getByLabel('Lines of output');
  await output.getByText('1', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Last', exact: true }).click();
  await page
    .getByText(/^52\.0 MiB to (52\.\d MiB) of \1$/)
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await output.getByText('7000000', { exact: true }).waitFor();
  expect(await output.locator('.output-line').count()).toBeLessThan(200);
});

test('output is searched and followed while it comes', async () => {
  const { execution_id: id } = await world.machine.create({
    command: ['/bin/sh', '-c', 'seq 1 2000; read line; echo the end of $line'],
    stdin_open: true,
  });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  const { page } = opened;
  const output = page.getByLabel('Lines of output');
  await output.locator('.text', { hasText: /^2000$/ }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('199');
  await page.getByText('12 lines').waitFor();
  await page.keyboard.press('Enter');
  await output.locator('mark.now').first().waitFor();
  expect(await output.locator('.output-line', { has: page.locator('mark.now') }).textContent()).toContain('199');
  await page.getByRole('button', { name: 'Follow' }).click();
  await page.getByLabel('Standard input').fill('all');
  await page.getByRole('button', { name: 'Send' }).click();
  await output.getByText('the end of all').waitFor();
});

test('a file that a command left is loaded from its page', async () => {
  await using opened = await open({ path: '/run?machine=dm-one' });
  const { page } = opened;
  await page.getByRole('textbox', { name: 'Command' }).fill('mkdir out; echo kept > out/report.txt');
  await page.getByLabel('Working directory').fill(world.dir);
  await page.getByLabel('Keep files').fill('out/*.txt');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const link = page.getByLabel('Artifacts').getByRole('link', { name: 'report.txt' });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  expect(download.suggestedFilename()).toBe('report.txt');
  expect(readFileSync(await download.path(), 'utf8')).toBe('kept\n');
});

test('a running command is signalled, fed and cancelled', async () => {
  const { execution_id: id } = await world.machine.create({
    command: ['/bin/sh', '-c', "trap 'echo hup' HUP; read line; echo got $line; while :; do sleep 0.1; done"],
    stdin_open: true,
  });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  const { page } = opened;
  await page.getByLabel('Standard input').fill('a word');
  await page.getByRole('button', { name: 'Send' }).click();
  const output = page.getByLabel('Lines of output');
  await output.getByText('got a word').waitFor();
  await page.getByLabel('Send a signal').selectOption('SIGHUP');
  await output.getByText('hup').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.status', { hasText: 'Cancelled' }).waitFor();
});

test('a key shows what it may do, and nothing else', async () => {
  const { key } = await newKey({ scopes: ['executions:read', 'machines:read'], machine_ids: ['dm-one'] });
  const { execution_id: id } = await world.machine.run({ command: ['echo', 'seen'] });
  await using opened = await open({ key, path: `/machines/dm-one/executions/${id}` });
  const { page } = opened;
  await page.getByLabel('Lines of output').getByText('seen').waitFor();
  const links = await page.getByRole('navigation').getByRole('link').allTextContents();
  expect(links).toEqual(['Overview', 'Machines', 'Executions']);
  expect(await page.getByRole('link', { name: 'Run again' }).count()).toBe(0);
  const status = await page.evaluate(
    `fetch('/v1/machines/dm-one/executions', { method: 'POST', body: '{"command":["true"]}',
      headers: { 'content-type': 'application/json', 'x-execplane-console': '1' } }).then(({ status }) => status)`,
  );
  expect(status).toBe(403);
});

test('a session ends with its key, wherever one is', async () => {
  const { key, api_key_id: id } = await newKey({ scopes: ['machines:read'] });
  await using opened = await open({ key, path: '/machines' });
  const { page } = opened;
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  await world.client.ask('DELETE', `/v1/api-keys/${id}`);
  await page.getByLabel('API key').waitFor();
  await signIn(page, world.server.key);
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  expect(new URL(page.url()).pathname).toBe('/machines');
});

test('a machine is added: the page waits with its line until the agent has joined', async () => {
  await using opened = await open({ path: '/machines/add' });
  const { page } = opened;
  await page.getByLabel('Name').fill('dm-two');
  await page.getByRole('button', { name: 'Make a join token' }).click();
  await page.getByText(/^Waiting for the machine/).waitFor();
  const line = (await page.getByText(/EXECPLANE_JOIN_TOKEN=/).textContent()) ?? '';
  const token = /EXECPLANE_JOIN_TOKEN=(\S+)/.exec(line)?.[1] ?? '';
  await world.join('dm-two', { EXECPLANE_JOIN_TOKEN: token, EXECPLANE_LABELS: 'role=web,site=berlin' });
  await page.getByText('dm-two has joined').waitFor();
  await page.getByRole('link', { name: 'See the machine' }).click();
  await page.getByLabel('Facts').getByText('site=berlin').waitFor();
});

test('a terminal is opened, typed into, left and come back to, through a restart of the server', async () => {
  await using opened = await open({ path: '/machines/dm-one' });
  const { page, complaints } = opened;
  await page.getByRole('link', { name: 'Terminals' }).click();
  await page.getByRole('button', { name: 'Open a terminal' }).click();
  const terminal = page.getByLabel('Terminal', { exact: true });
  await terminal.locator('.xterm-rows').waitFor();
  await page.keyboard.type('word=kept; echo typed-$((40 + 2))');
  await page.keyboard.press('Enter');
  await terminal.getByText('typed-42').first().waitFor();
  await world.server.kill();
  await world.server.restart();
  await world.connected();
  await terminal.getByText('The connection is gone').waitFor({ state: 'detached' });
  await page.reload();
  await terminal.getByText('typed-42').first().waitFor();
  await page.keyboard.type('echo still-$word');
  await page.keyboard.press('Enter');
  await terminal.getByText('still-kept').first().waitFor();
  await page.getByRole('button', { name: 'End this one' }).click();
  await page.getByText('No terminal is open here').waitFor();
  expect(complaints).toEqual([]);
});

test('machines are searched, and executions chosen, by label', async () => {
  await world.join('dm-labelled', { EXECPLANE_LABELS: 'role=labelled' });
  const { execution_id: id } = await world.client.machine('dm-labelled').run({ command: ['echo', 'on it'] });
  await world.machine.run({ command: ['echo', 'elsewhere'] });
  await using opened = await open({ path: '/machines?q=role%3Dlabelled' });
  const { page, complaints } = opened;
  await page.getByText('1 of ').waitFor();
  await page.getByRole('link', { name: 'dm-labelled' }).waitFor();
  await page.goto(`${world.server.url}/executions`);
  await page.getByRole('link', { name: 'echo elsewhere' }).waitFor();
  await page.getByLabel('Label of the machine').fill('role=labelled');
  await page.getByRole('link', { name: 'echo elsewhere' }).waitFor({ state: 'detached' });
  await page.getByRole('link', { name: "echo 'on it'" }).click();
  expect(new URL(page.url()).pathname).toBe(`/machines/dm-labelled/executions/${id}`);
  expect(complaints).toEqual([]);
});

test('a machine is removed only by who types its name', async () => {
  await world.joinToken({ machine_id: 'dm-gone' });
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

test('signing out ends what the page shows, and what it may ask', async () => {
  await using opened = await open({ path: '/audit' });
  const { page } = opened;
  await page.getByText('Signed in').first().waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  expect(await page.evaluate("fetch('/v1/audit').then(({ status }) => status)")).toBe(401);
});

test('a theme that was chosen stays', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const light = await ground();
  await page.getByRole('button', { name: 'Dark' }).click();
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  await page.getByRole('heading', { level: 1 }).waitFor();
  expect(await ground()).toBe(dark);
});

test('a key is made, shown once, and revoked', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  await page.getByRole('button', { name: 'Make a key' }).click();
  await page.getByLabel('Name').fill('for the build');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const key = (await page.locator('dialog pre').textContent()) ?? '';
  expect((await world.client.with(key).get('/v1/machines/dm-one/executions')).status).toBe(200);
  await page.getByRole('button', { name: 'I have it' }).click();
  await page.getByRole('button', { name: 'Revoke for the build' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.getByRole('cell', { name: 'for the build', exact: true }).waitFor({ state: 'detached' });
  expect((await world.client.with(key).get('/v1/machines/dm-one/executions')).status).toBe(401);
});

test('the keyboard goes everywhere', async () => {
  await using opened = await open({ path: '/keys' });
  const { page } = opened;
  await page.getByRole('heading', { level: 1, name: 'API keys' }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.getByRole('link', { name: 'dm-one' }).waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('dm-one');
  expect(new URL(page.url()).search).toBe('?q=dm-one');
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'dm-one' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('audit');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
});

test('what another script puts on the page does not run, and no other host is asked', async () => {
  await using opened = await open();
  const outcome = await opened.page.evaluate(`
    document.body.append(Object.assign(document.createElement('iframe'), { src: 'http://localhost:9/' }));
    fetch('http://localhost:9/').then(() => 'reached', () => 'refused');
  `);
  expect(outcome).toBe('refused');
  expect(opened.complaints.join('\n')).toContain('connect-src');
});
