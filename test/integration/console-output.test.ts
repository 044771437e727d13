/** Output, artifacts and terminals in the console in a real browser. Without Chromium these tests are reported as skipped. */
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CHROMIUM, hasChromium, launchChromium, openConsole } from '../helpers/console-page.ts';
import { Deployment } from '../helpers/harness.ts';

let browser: Browser;
let deployment: Deployment;

beforeAll(async () => {
  if (!hasChromium) return;
  [browser, deployment] = await Promise.all([
    launchChromium(),
    Deployment.start({ machine: 'dm-one', server: { EXECPLANE_MAX_OUTPUT_BYTES: String(100 * 2 ** 20) } }),
  ]);
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

test('output appears live, and continues through a restart of the server without a gap or a repeat', async () => {
  const gate = `${deployment.dir}/gate`;
  const { execution_id: id } = await deployment.machine.create({
    command: ['/bin/sh', '-c', `echo before; while [ ! -e ${gate} ]; do sleep 0.1; done; echo behind; exit 0`],
  });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  const { page, complaints } = opened;
  const output = page.getByLabel('Lines of output');
  await output.getByText('before').waitFor();
  await deployment.server.kill();
  await deployment.server.restart();
  await deployment.connected();
  await deployment.machine.run({ command: ['/usr/bin/touch', gate] });
  await output.getByText('behind').waitFor();
  await page.locator('.status', { hasText: 'Succeeded' }).waitFor();
  expect(await output.locator('.output-line .text').allTextContents()).toEqual(['before', 'behind']);
  expect(complaints).toEqual([]);
});

test('output that is too long for a page can be read part by part, to its last line', async () => {
  const { execution_id: id } = await deployment.machine.run({ command: ['/usr/bin/seq', '1', '7000000'] });
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

test('output can be searched and followed while it arrives', async () => {
  const { execution_id: id } = await deployment.machine.create({
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

test('the page of a command without output says so and shows no empty viewer', async () => {
  const { execution_id: id } = await deployment.machine.run({ command: ['true'] });
  await using opened = await open({ path: `/machines/dm-one/executions/${id}` });
  await opened.page.getByText('No output.', { exact: true }).waitFor();
  expect(await opened.page.getByLabel('Lines of output').count()).toBe(0);
});

test('an artifact can be downloaded from the page of its execution', async () => {
  await using opened = await open({ path: '/run?machine=dm-one' });
  const { page } = opened;
  await page.getByRole('textbox', { name: 'Command' }).fill('mkdir out; echo kept > out/report.txt');
  await page.getByLabel('Working directory').fill(deployment.dir);
  await page.getByLabel('Keep files').fill('out/*.txt');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const link = page.getByLabel('Artifacts').getByRole('link', { name: 'report.txt' });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  expect(download.suggestedFilename()).toBe('report.txt');
  expect(readFileSync(await download.path(), 'utf8')).toBe('kept\n');
});

test('the page of a running command can send a signal and input, and cancel it', async () => {
  const { execution_id: id } = await deployment.machine.create({
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

test('a terminal can be opened, typed into, left and reopened, also after a restart of the server', async () => {
  await using opened = await open({ path: '/machines/dm-one' });
  const { page, complaints } = opened;
  await page.getByRole('link', { name: 'Terminals' }).click();
  await page.getByRole('button', { name: 'Open a terminal' }).click();
  const terminal = page.getByLabel('Terminal', { exact: true });
  await terminal.locator('.xterm-rows').waitFor();
  await page.keyboard.type('word=kept; echo typed-$((40 + 2))');
  await page.keyboard.press('Enter');
  await terminal.getByText('typed-42').first().waitFor();
  const ground = () =>
    page.evaluate("getComputedStyle(document.querySelector('.xterm-scrollable-element')).backgroundColor");
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(ground, { timeout: 10_000 }).not.toBe(light);
  await deployment.server.kill();
  await deployment.server.restart();
  await deployment.connected();
  await terminal.getByText(/^Disconnected/).waitFor({ state: 'detached' });
  await page.reload();
  await terminal.getByText('typed-42').first().waitFor();
  await page.keyboard.type('echo still-$word');
  await page.keyboard.press('Enter');
  await terminal.getByText('still-kept').first().waitFor();
  await page.getByRole('button', { name: 'End this one' }).click();
  await page.getByText('No terminal is open here').waitFor();
  expect(complaints).toEqual([]);
});
