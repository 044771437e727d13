/**
 * Packs the package, has publint and attw check it, and uses its client library from the packed files: in the Node of the project, in Node 22
 * and, bundled by Vite, in Chromium. `npm run test:client` builds, installs the tools and runs this.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { hasChromium, launchChromium } from '../helpers/console-page.ts';
import { Deployment } from '../helpers/harness.ts';

const HERE = import.meta.dirname;
const ROOT = join(HERE, '../..');
const TOOLS = join(HERE, 'tools/node_modules');
const work = mkdtempSync(join(tmpdir(), 'execplane-client-'));

interface Setting {
  url: string;
  apiKey: string;
  machineId: string;
  directory: string;
}

const EXPECTED = {
  run: [3, 'in', 'err\n'],
  stream: 'succeeded',
  stdin: 'fed',
  events: 'succeeded',
  abort: 'enough',
  file: 'content',
  fileError: true,
  refusal: 404,
  artifact: ['a.txt', 'left'],
  terminal: 5,
};

try {
  const archive = pack();
  check('publint', [archive]);
  // The package supports only `import`: no `require`, and no module resolution without "exports".
  check('attw', ['--profile', 'esm-only', archive]);
  unpack(archive);
  const deployment = await Deployment.start();
  try {
    const setting = {
      url: deployment.server.url,
      apiKey: deployment.server.key,
      machineId: deployment.agent.machineId,
      directory: work,
    };
    for (const node of [process.execPath, join(TOOLS, 'node/bin/node')]) inNode(node, setting);
    await inChromium(setting);
  } finally {
    await deployment.dispose();
  }
} finally {
  rmSync(work, { recursive: true });
}

/** Returns the path of the packed package. */
function pack(): string {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', work];
  const [{ filename }] = JSON.parse(execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8' })) as [
    { filename: string },
  ];
  return join(work, filename);
}

function check(tool: string, args: readonly string[]): void {
  execFileSync(join(TOOLS, '.bin', tool), args, { stdio: 'inherit' });
}

/** Unpacks the package as npm would install it, without dependencies, since the client library has none. */
function unpack(archive: string): void {
  const target = join(work, 'node_modules/execplane');
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', archive, '--strip-components=1', '-C', target]);
  cpSync(join(HERE, 'exercise.js'), join(work, 'exercise.js'));
  writeFileSync(join(work, 'package.json'), '{"type":"module"}');
}

function inNode(node: string, setting: Setting): void {
  const script = `import { exercise } from './exercise.js';
    console.log(JSON.stringify(await exercise(${JSON.stringify(setting)})));`;
  const printed = execFileSync(node, ['--input-type=module', '-e', script], { cwd: work, encoding: 'utf8' });
  deepEqual(JSON.parse(printed), EXPECTED);
  console.log(`client: all of it works in Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`);
}

/** The page has the origin of the server, like the console. The API allows no other origin. */
async function inChromium(setting: Setting): Promise<void> {
  if (!hasChromium) {
    console.log('client: no Chromium, not tried in it');
    return;
  }
  const bundle = await bundled();
  const browser = await launchChromium();
  try {
    // The Content-Security-Policy of the server's pages forbids foreign scripts.
    const page = await browser.newPage({ bypassCSP: true });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${setting.url}/readyz`);
    // Imported rather than added as a script: a script tag of a module may run only after the next evaluation.
    const address = `URL.createObjectURL(new Blob([${JSON.stringify(bundle)}], { type: 'text/javascript' }))`;
    const seen = await page.evaluate(`import(${address}).then(({ exercise }) => exercise(${JSON.stringify(setting)}))`);
    deepEqual(seen, EXPECTED);
    deepEqual(complaints, []);
    console.log(`client: all of it works in Chromium ${browser.version()}, ${Math.round(bundle.length / 1000)} KB`);
  } finally {
    await browser.close();
  }
}

/** Bundles the library. Vite fails on modules that browsers do not have. */
async function bundled(): Promise<string> {
  const entry = join(work, 'entry.js');
  writeFileSync(entry, "export { exercise } from './exercise.js';");
  await build({
    root: work,
    configFile: false,
    logLevel: 'error',
    build: { outDir: join(work, 'bundle'), lib: { entry, formats: ['es'], fileName: 'bundle' } },
  });
  const path = join(work, 'bundle/bundle.js');
  ok(existsSync(path), 'Vite wrote a bundle');
  const bundle = readFileSync(path, 'utf8');
  equal(/\bnode:/.test(bundle), false, 'the bundle imports nothing of Node');
  return bundle;
}
