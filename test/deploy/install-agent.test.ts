/** The installer of agents: it installs files only from https or a folder, and only if checksums and signature match. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runningServer } from '../helpers/running-server.ts';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const CERT = join(ROOT, 'test/server/fixtures/test-only-cert.pem');
const KEY = join(ROOT, 'test/server/fixtures/test-only-key.pem');
const hasGpg = (() => {
  try {
    execFileSync('gpg', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

let dir: string;

/** Makes stub programs that only record their calls; `id` prints 0, the user id of root. */
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'execplane-install-'));
  mkdirSync(join(dir, 'bin'));
  mkdirSync(join(dir, 'packages'));
  stub('id', 'echo 0');
  stub('dpkg', 'echo amd64');
  for (const name of ['apt-get', 'systemctl', 'dpkg-query', 'rm', 'rmdir', 'deluser']) stub(name, 'exit 1');
  for (const name of ['execplane', 'execplane-agent']) {
    writeFileSync(join(dir, 'packages', `${name}_0.1.0_amd64.deb`), name);
  }
  const sums = execFileSync('sha256sum', ['execplane_0.1.0_amd64.deb', 'execplane-agent_0.1.0_amd64.deb'], {
    cwd: join(dir, 'packages'),
  });
  writeFileSync(join(dir, 'packages/SHA256SUMS'), sums);
});

afterEach(() => rmSync(dir, { recursive: true }));

function stub(name: string, then: string): void {
  const script = `#!/bin/sh\necho ${name} "$@" >> ${join(dir, 'calls')}\n${then}\n`;
  writeFileSync(join(dir, 'bin', name), script, { mode: 0o755 });
}

/** The recorded calls of the stubs. */
function calls(): string[] {
  try {
    return readFileSync(join(dir, 'calls'), 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

/** Runs a shell script with the stubs in PATH. Returns its stderr. */
async function shell(...args: string[]): Promise<string> {
  const env = {
    PATH: `${join(dir, 'bin')}:${process.env['PATH']}`,
    CURL_CA_BUNDLE: CERT,
    GNUPGHOME: join(dir, 'gnupg'),
  };
  const child = spawn('sh', args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
  child.stdin.on('error', () => {}); // a script that refuses its arguments does not read stdin
  child.stdin.end('xpj_token\n');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child, 'close');
  return said;
}

const install = (...args: string[]) =>
  shell(join(ROOT, 'deploy/install-agent.sh'), '--url', 'https://execplane.example.com', ...args);
const hasInstalled = () => calls().some((call) => call.startsWith('apt-get install'));

test('packages from a folder are installed with apt-get', async () => {
  await install('--from', join(dir, 'packages'));
  expect(hasInstalled()).toBe(true);
});

test('an http address is refused before anything is fetched', async () => {
  expect(await install('--from', 'http://127.0.0.1:1/packages')).toContain('https address');
  expect(await install('--from', 'ftp://127.0.0.1/packages')).toContain('https address');
  expect(hasInstalled()).toBe(false);
});

test.each(['HTTP://127.0.0.1:1/packages', 'Https://127.0.0.1:1', 'file:///tmp', 'ssh://127.0.0.1/packages'])(
  'the address %s is refused before anything is fetched',
  async (from) => {
    expect(await install('--from', from)).toContain('https address');
    expect(calls()).toEqual([]);
  },
);

test.each([
  ['two versions of a package', (sums: string) => sums + sums.replaceAll('0.1.0', '0.2.0'), 'several versions'],
  ['a path', (sums: string) => sums.replaceAll('  execplane', '  ../execplane'), 'there is no execplane'],
  ['a command of the shell', (sums: string) => sums.replaceAll('0.1.0', '0;touch$IFS"$HOME"'), 'is missing'],
  ['a pattern', (sums: string) => sums.replaceAll('0.1.0', '.*'), 'is missing'],
  ['line ends of Windows', (sums: string) => sums.replaceAll('\n', '\r\n'), 'there is no execplane'],
  ['sums that are too short', (sums: string) => sums.replaceAll(/^[0-9a-f]/gm, ''), 'there is no execplane'],
])('a SHA256SUMS with %s installs nothing', async (_what, change, message) => {
  const path = join(dir, 'packages/SHA256SUMS');
  writeFileSync(path, change(readFileSync(path, 'utf8')));
  expect(await install('--from', join(dir, 'packages'))).toContain(message);
  expect(hasInstalled()).toBe(false);
});

test('https is accepted, and a redirect from there to http is not', async () => {
  const serve = (path = '') => readFileSync(join(dir, 'packages', path.split('/').at(-1) ?? ''));
  const plain = createHttpServer((request, response) => response.end(serve(request.url))).listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const tls = { cert: readFileSync(CERT), key: readFileSync(KEY) };
  const secure = createHttpsServer(tls, (request, response) => {
    if (!request.url?.startsWith('/away/')) response.end(serve(request.url));
    else
      response
        .writeHead(302, { location: `http://127.0.0.1:${(plain.address() as AddressInfo).port}${request.url}` })
        .end();
  }).listen(0, '127.0.0.1');
  await once(secure, 'listening');
  onTestFinished(() => {
    plain.close();
    secure.close();
  });
  const at = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
  expect(await install('--from', `${at}/away`)).toContain('cannot be fetched');
  expect(hasInstalled()).toBe(false);
  await install('--from', at);
  expect(hasInstalled()).toBe(true);
});

describe('from a server', () => {
  const served = async () => {
    writeFileSync(join(dir, 'packages/install-agent.sh'), readFileSync(join(ROOT, 'deploy/install-agent.sh')));
    const server = await runningServer({ packagesDir: join(dir, 'packages') });
    onTestFinished(() => server[Symbol.asyncDispose]());
    return (await fetch(`${server.url}/install.sh`)).text();
  };

  test('the script needs only a token', async () => {
    await shell('-c', await served());
    const [install = ''] = calls().filter((call) => call.startsWith('apt-get install'));
    expect(install).toMatch(/\/execplane_0\.1\.0_amd64\.deb \S+\/execplane-agent_0\.1\.0_amd64\.deb$/);
  });

  test('an unknown package and other checksums are refused', async () => {
    const script = await served();
    writeFileSync(join(dir, 'packages/execplane_0.1.0_amd64.deb'), 'other');
    expect(await shell('-c', script)).toContain('does not match SHA256SUMS');
    const sums = execFileSync('sha256sum', ['execplane_0.1.0_amd64.deb'], { cwd: join(dir, 'packages') });
    writeFileSync(join(dir, 'packages/SHA256SUMS'), sums);
    expect(await shell('-c', script)).toContain('is not the one that --sums names');
    expect(hasInstalled()).toBe(false);
  });

  test('a truncated script does nothing', async () => {
    const script = await served();
    await shell('-c', script.slice(0, script.lastIndexOf('main "$@"')));
    expect(calls()).toEqual([]);
  });

  test('only files in SHA256SUMS are served', async () => {
    writeFileSync(join(dir, 'packages/private'), 'p');
    const server = await runningServer({ packagesDir: join(dir, 'packages') });
    onTestFinished(() => server[Symbol.asyncDispose]());
    const statusOf = async (path: string) => (await fetch(`${server.url}/packages/${path}`)).status;
    expect(await statusOf('execplane_0.1.0_amd64.deb')).toBe(200);
    expect(await statusOf('SHA256SUMS')).toBe(200);
    for (const path of ['private', 'SHA256SUMS.sig', '..%2fbin%2fid', '']) expect(await statusOf(path)).toBe(404);
  });
});

test('--remove removes the packages, and needs no token', async () => {
  await install('--remove');
  expect(calls().filter((call) => call.startsWith('apt-get'))).toEqual([
    'apt-get remove --yes --quiet execplane-agent',
  ]);
});

describe.runIf(hasGpg)('with --keyring', () => {
  const gpg = (...args: string[]) =>
    execFileSync('gpg', ['--batch', '--quiet', '--homedir', join(dir, 'gnupg'), ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });

  beforeEach(() => {
    mkdirSync(join(dir, 'gnupg'), { mode: 0o700 });
    gpg('--passphrase', '', '--quick-generate-key', 'releases@example.com', 'ed25519', 'sign', 'never');
    writeFileSync(join(dir, 'keys'), gpg('--export'));
  });

  test('checksums are accepted only with a signature by one of the keys', async () => {
    const packages = join(dir, 'packages');
    const args = ['--from', packages, '--keyring', join(dir, 'keys')];
    expect(await install(...args)).toContain('SHA256SUMS.sig is missing');
    gpg('--output', join(packages, 'SHA256SUMS.sig'), '--detach-sign', join(packages, 'SHA256SUMS'));
    writeFileSync(join(packages, 'SHA256SUMS'), `${readFileSync(join(packages, 'SHA256SUMS'), 'utf8')}\n`);
    expect(await install(...args)).toContain('is not signed by a key');
    expect(hasInstalled()).toBe(false);
    gpg('--yes', '--output', join(packages, 'SHA256SUMS.sig'), '--detach-sign', join(packages, 'SHA256SUMS'));
    await install(...args);
    expect(hasInstalled()).toBe(true);
  });
});

describe('removal', () => {
  const block = /<!-- run on the machine, to remove it -->\n```sh\n([\s\S]*?)```/;
  const documented = block.exec(readFileSync(join(ROOT, 'docs/install.md'), 'utf8'))?.[1] ?? '';

  test('the documented way keeps a server on the same machine', async () => {
    stub('dpkg-query', 'exit 0');
    await shell('-c', documented);
    expect(calls().filter((call) => call.startsWith('apt-get'))).toEqual(['apt-get purge --yes execplane-agent']);
  });

  test('the documented way removes the program too if there is no server', async () => {
    stub('apt-get', 'exit 0');
    await shell('-c', documented);
    expect(
      calls()
        .filter((call) => call.startsWith('apt-get'))
        .at(-1),
    ).toBe('apt-get purge --yes execplane');
  });

  test.each([
    ['a link to a disk that is not mounted', (data: string) => symlinkSync(join(dir, 'unmounted'), data), []],
    ['a directory', (data: string) => mkdirSync(data), []],
    ['gone', () => {}, ['deluser --system --quiet execplane']],
  ])('purging the package of the server keeps its user unless the data is gone: %s', async (_what, make, deleted) => {
    const data = join(dir, 'data');
    make(data);
    stub('getent', 'exit 0');
    const script = readFileSync(join(ROOT, 'deploy/debian/execplane-server/postrm'), 'utf8');
    await shell('-c', script.replaceAll('/var/lib/execplane', data), 'postrm', 'purge');
    expect(calls().filter((call) => call.startsWith('deluser'))).toEqual(deleted);
  });

  test('purging the package of the agent removes nothing that is mounted in its directory', async () => {
    await shell(join(ROOT, 'deploy/debian/execplane-agent/postrm'), 'purge');
    const removed = calls().filter((call) => call.startsWith('rm ') && call.includes('/var/lib'));
    expect(removed).toEqual(['rm -rf --one-file-system /var/lib/execplane-agent']);
  });

  test('purging the package of the server keeps its data', async () => {
    await shell(join(ROOT, 'deploy/debian/execplane-server/postrm'), 'purge');
    expect(calls().filter((call) => call.startsWith('rm ') && call.includes('/var/lib/execplane'))).toEqual([]);
  });
});
