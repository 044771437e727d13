/**
 * Takes the pictures in docs/console: every page of the console, in both themes, on a wide screen and on a phone. `npm run pictures` builds
 * and runs this. It takes about three minutes.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { launchChromium, openConsole, PHONE, signIn, WIDE } from '../helpers/console-page.ts';
import { Deployment } from '../helpers/harness.ts';
import { until } from '../helpers/processes.ts';

const FOLDER = join(import.meta.dirname, '../../docs/console');
const SIZES = { wide: WIDE, phone: PHONE } as const;
const THEMES = ['light', 'dark'] as const;
const BUILD =
  'for i in $(seq 1 14); do echo "ok $i - test $i passes"; done; printf "\\033[31mnot ok 15 - a slow disk\\033[0m\\n" >&2; exit 1';

interface Subject {
  name: string;
  path: string;
  /** The heading that shows that the page is loaded. */
  heading: string;
}

const deployment = await Deployment.start({ machine: 'dm-build', agent: { EXECPLANE_LABELS: 'role=build' } });
const browser = await launchChromium();
try {
  const subjects = await prepare(deployment);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const theme of THEMES)
    for (const size of ['wide', 'phone'] as const) await takeAll(browser, subjects, { theme, size });
  console.log(`${(subjects.length + 1) * THEMES.length * 2} pictures are in docs/console`);
} finally {
  await browser.close();
  await deployment.dispose();
}

/** Creates example data on the server: machines, executions, a failed batch, a schedule, keys. Returns the pages. */
async function prepare({ client, machine }: Deployment): Promise<Subject[]> {
  for (const [id, site] of [
    ['dm-web-1', 'berlin'],
    ['dm-web-2', 'oslo'],
    ['dm-web-3', 'oslo'],
  ] as const) {
    await deployment.join(id, { EXECPLANE_LABELS: `role=web,site=${site}` });
  }
  const selector = { labels: { role: 'web' } };
  const post = <T>(path: string, body: object) => client.ask<T>('POST', path, { body });
  for (const command of [['uptime'], ['df', '-h', '/'], ['uname', '-a']]) await machine.run({ command });
  const failed = await machine.run({ command: ['sh', '-c', BUILD] });
  await machine.create({ command: ['sh', '-c', 'while :; do date; sleep 1; done'] });
  await post('/v1/batches', { selector, command: ['uptime'] });
  const batch = await post<{ batch_id: string }>('/v1/batches', {
    ...{ selector, command: ['sh', '-c', 'systemctl reload nginx'], max_failures: 0, max_concurrency: 1 },
  });
  await until('the batch is over', async () => {
    const { status } = await client.ask<{ status: string }>('GET', `/v1/batches/${batch.batch_id}`);
    return status !== 'running';
  });
  const nightly = {
    selector,
    command: ['backup', '--all'],
    name: 'nightly backup',
    cron: '0 3 * * *',
    time_zone: 'Europe/Berlin',
  };
  const schedule = await post<{ schedule_id: string }>('/v1/schedules', nightly);
  await post('/v1/schedules', { selector, command: ['df', '-h'], name: 'disk space', every: '15m' });
  await post('/v1/api-keys', { name: 'ci', scopes: ['executions:write'], machine_ids: ['dm-build'] });
  await post('/v1/join-tokens', { reusable: true });
  return [
    { name: 'overview', path: '/', heading: 'Overview' },
    { name: 'machines', path: '/machines', heading: 'Machines' },
    { name: 'machine', path: '/machines/dm-web-1', heading: 'dm-web-1' },
    { name: 'add-machine', path: '/machines/add', heading: 'Add a machine' },
    { name: 'terminal', path: '/machines/dm-build/terminals', heading: 'Terminals on dm-build' },
    { name: 'run', path: '/run?machine=dm-build&command=["make","test"]', heading: 'Run a command' },
    { name: 'run-on-many', path: '/run?on=labels&labels=role%3Dweb', heading: 'Run a command' },
    { name: 'executions', path: '/executions', heading: 'Executions' },
    { name: 'execution', path: `/machines/dm-build/executions/${failed.execution_id}`, heading: 'for i in' },
    { name: 'batches', path: '/batches', heading: 'Batches' },
    { name: 'batch', path: `/batches/${batch.batch_id}`, heading: 'systemctl reload nginx' },
    { name: 'schedules', path: '/schedules', heading: 'Schedules' },
    { name: 'schedule', path: `/schedules/${schedule.schedule_id}`, heading: 'nightly backup' },
    { name: 'keys', path: '/keys', heading: 'API keys' },
    { name: 'tokens', path: '/tokens', heading: 'Join tokens' },
    { name: 'webhooks', path: '/webhooks', heading: 'Webhooks' },
    { name: 'audit', path: '/audit', heading: 'Audit' },
  ];
}

async function takeAll(
  browser: Browser,
  subjects: readonly Subject[],
  { theme, size }: { theme: 'light' | 'dark'; size: keyof typeof SIZES },
): Promise<void> {
  const { url, key } = deployment.server;
  await using opened = await openConsole(browser, { url, viewport: SIZES[size], colorScheme: theme });
  const { page } = opened;
  const take = (name: string) => page.screenshot({ path: join(FOLDER, `${name}-${size}-${theme}.png`) });
  await page.getByRole('heading', { name: 'Sign in to Execplane' }).waitFor();
  await take('sign-in');
  await signIn(page, key);
  for (const { name, path, heading } of subjects) {
    await page.goto(url + path);
    await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    await page.locator('.loading').first().waitFor({ state: 'detached' });
    if (name === 'terminal') await showTerminal(page);
    if (name === 'execution') await page.getByText('ok 14 - test 14 passes').first().waitFor();
    await take(name);
  }
}

async function showTerminal(page: Page): Promise<void> {
  await page
    .getByRole('button', { name: /open|new/i })
    .first()
    .click();
  const screen = page.locator('.xterm-rows');
  await screen.waitFor();
  await until('the shell has shown its prompt', async () => /[#$]/.test((await screen.textContent()) ?? ''));
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type("for i in 1 2 3; do printf '\\e[32mok\\e[0m test %s\\n' $i; done\n");
  await until('the terminal has answered', async () => /ok test 3/.test((await screen.textContent()) ?? ''));
}
