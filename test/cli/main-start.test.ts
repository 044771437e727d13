/** The number of files that `execplane exec` loads before it sends its request. It does not depend on the load of the machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { MAIN } from '../helpers/harness.ts';

/** Prints the files and built-in modules that a process has loaded, as JSON on stderr, when it exits. */
const TELL_LOADED = `import { registerHooks } from 'node:module';
const files = [];
registerHooks({ load: (url, context, next) => { if (url.startsWith('file:')) files.push(url); return next(url, context); } });
process.once('exit', () => process.stderr.write(JSON.stringify({ files, modules: process.moduleLoadList })));`;

it('a request over plain http loads few files, and no module of Node that it does not need', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    // The CLI exits with an error.
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error_code: 'AUTH_INVALID', message: 'no', retryable: false }));
    request.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cli = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(TELL_LOADED)}`, '--', MAIN, 'exec', 'dm-x', '--', 'true'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], EXECPLANE_URL: url, EXECPLANE_API_KEY: 'k' },
    },
  );
  const told = await text(cli.stderr);
  server.close();
  const loaded = JSON.parse(told.slice(told.indexOf('{"files"'))) as { files: string[]; modules: string[] };
  expect(requests).toBeGreaterThan(0);
  expect(loaded.files.length).toBeLessThanOrEqual(4);
  const heavy = [
    'internal/deps/undici/undici',
    'tls',
    'internal/repl/history',
    'internal/crypto/webcrypto',
    'child_process',
  ];
  expect(heavy.filter((name) => loaded.modules.includes(`NativeModule ${name}`))).toEqual([]);
});
