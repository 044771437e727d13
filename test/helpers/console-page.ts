/** Opens the console in Debian's Chromium and records the errors that the browser reports. */
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export const CHROMIUM = '/usr/bin/chromium';
export const hasChromium = existsSync(CHROMIUM);

/** The axe rules for WCAG 2.2, levels A and AA, and best practices. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
/** The message that the browser logs for each error answer, even if the test expects the error. */
const REFUSAL =
  /Failed to load resource: the server responded with a status of (401|403|404|409|422)|net::ERR_(CONNECTION|INCOMPLETE|EMPTY)/;

export const PHONE = { width: 390, height: 844 };
export const WIDE = { width: 1280, height: 800 };

export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
}

export interface OpenConsole extends AsyncDisposable {
  page: Page;
  /** Errors and warnings of the browser, including violations of the Content-Security-Policy, but not error answers of the API. */
  complaints: string[];
}

/** Opens the console at `path`, signed in with `key` if there is one. */
export async function openConsole(
  browser: Browser,
  p: { url: string; path?: string; key?: string } & Pick<BrowserContextOptions, 'viewport' | 'colorScheme'>,
): Promise<OpenConsole> {
  const { url, path = '/', key, ...look } = p;
  const context = await browser.newContext({ viewport: WIDE, ...look });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !REFUSAL.test(text)) complaints.push(text);
  });
  await page.goto(url + path);
  if (key !== undefined) await signIn(page, key);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

export async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('main#main').waitFor();
}

/** Runs axe and returns its errors as `rule: element`. `rules`: default RULES. */
export async function accessibilityFaults(page: Page, rules: readonly string[] = RULES): Promise<string[]> {
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe.source);
  const run = `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ': ' + target + ' ' + failureSummary)))`;
  return page.evaluate(run);
}
