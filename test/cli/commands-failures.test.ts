/** Errors of users and of the connection. Each message must name the cause and the remedy. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { json, scriptedServer } from '../client/scripted-server.ts';
import { makeDirectory, removeDirectory } from '../helpers/directories.ts';
import { freePort } from '../helpers/free-port.ts';
import { baseEnv, cli, Deployment, MAIN } from '../helpers/harness.ts';
import { Started } from '../helpers/processes.ts';

let deployment: Deployment;
let home: string;

beforeAll(async () => {
  deployment = await Deployment.start();
  home = makeDirectory('home');
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(home);
}, 60_000);

function settings(more: Record<string, string> = {}) {
  return { HOME: home, EXECPLANE_URL: deployment.server.url, EXECPLANE_API_KEY: deployment.server.key, ...more };
}

describe('keys and logins', () => {
  test('a key with a line break is refused without being printed', async () => {
    const broken = settings({ EXECPLANE_API_KEY: `${deployment.server.key}\n` });
    const { code, stderr } = await cli(['machines', 'ls'], broken);
    expect(stderr).toMatch(/^execplane: EXECPLANE_API_KEY: contains a line break/);
    expect(stderr).not.toContain(deployment.server.key);
    expect(code).toBe(2);
  });

  test.each([
    ['a directory', 'mkdir "$F"', 'cannot be read: it is a directory.'],
    ['a FIFO', 'mkfifo -m 600 "$F"', 'cannot be read: it is not a regular file.'],
    ['a link to a device without end', 'ln -s /dev/zero "$F"', 'cannot be read: it is not a regular file.'],
    ['a link to itself', 'ln -s login.json "$F"', 'cannot be read: too many symbolic links encountered.'],
    [
      'a link to a file that others can read',
      'echo {} > o; chmod 644 o; ln -s "$PWD/o" "$F"',
      'can be read by other users',
    ],
    ['not JSON', '(umask 077; echo no > "$F")', 'is damaged: run "execplane login" again, or remove it.'],
    ['a list', '(umask 077; echo "[]" > "$F")', 'is damaged'],
    ['a key of two lines', `(umask 077; echo '{"url":"http://a.example","api_key":"a\\nb"}' > "$F")`, 'is damaged'],
    ['a URL that is not http', `(umask 077; echo '{"url":"ftp://a","api_key":"a"}' > "$F")`, 'is damaged'],
    ['of two MiB', '(umask 077; head -c 2097152 /dev/zero > "$F")', 'cannot be read: it is larger than 1048576 bytes.'],
  ])(
    'a login file that is %s gives one sentence and exit code 2, unless variables replace it',
    async (_what, make, told) => {
      const file = join(home, '.config/execplane/login.json');
      rmSync(join(file, '..'), { recursive: true, force: true });
      mkdirSync(join(file, '..'), { recursive: true });
      execFileSync('sh', ['-c', make], { cwd: home, env: { PATH: process.env['PATH'], F: file } });
      onTestFinished(() => rmSync(join(file, '..'), { recursive: true }));
      for (const args of [['machines', 'ls'], ['exec', 'dm-test', '--', 'true'], ['mcp']]) {
        const { code, stderr } = await cli(args, { HOME: home });
        expect(stderr).toContain(`execplane: ${file} ${told}`);
        expect(code).toBe(2);
      }
      expect((await cli(['machines', 'ls'], settings())).code).toBe(0);
    },
  );

  test('a login file that is a link to a private file is used', async () => {
    const file = join(home, '.config/execplane/login.json');
    mkdirSync(join(file, '..'), { recursive: true });
    const login = JSON.stringify({ url: deployment.server.url, api_key: deployment.server.key });
    writeFileSync(join(home, 'elsewhere.json'), login, { mode: 0o600 });
    symlinkSync(join(home, 'elsewhere.json'), file);
    onTestFinished(() => rmSync(file));
    expect((await cli(['machines', 'ls'], { HOME: home })).code).toBe(0);
  });

  test.each([
    ['the file is a directory', 'mkdir -p .config/execplane/login.json/x'],
    ['its directory is a file', 'mkdir -p .config; echo > .config/execplane'],
  ])('login, if %s, prints one sentence and exits with 2', async (_what, make) => {
    execFileSync('sh', ['-c', make], { cwd: home });
    onTestFinished(() => rmSync(join(home, '.config/execplane'), { recursive: true }));
    const { code, stderr } = await cli(['login', '--api-key', deployment.server.key], settings());
    expect(stderr).toMatch(/^execplane: .*login.json cannot be written: .*\.\n$/);
    expect(code).toBe(2);
  });

  test.each([
    ['a directory', 'mkdir admin.key', 'cannot be read: it is a directory.'],
    ['a FIFO', 'mkfifo -m 600 admin.key', 'cannot be read: it is not a regular file.'],
    ['a link to itself', 'ln -s admin.key admin.key', 'cannot be read: too many symbolic links encountered.'],
  ])(
    'an admin key file that is %s gives one sentence and exit code 2, for the CLI and the server',
    async (_what, make, told) => {
      const data = join(home, 'data-with-odd-key');
      mkdirSync(data, { mode: 0o700 });
      onTestFinished(() => rmSync(data, { recursive: true }));
      execFileSync('sh', ['-c', make], { cwd: data });
      for (const args of [
        ['machines', 'ls'],
        ['server', '--port', '0'],
      ]) {
        const { code, stderr } = await cli([...args, '--data-dir', data], { HOME: home });
        expect(stderr).toContain(`${join(data, 'admin.key')} ${told}`);
        expect(code).toBe(2);
      }
    },
  );

  test('an empty login file is an error that suggests login, and login repairs it', async () => {
    const file = join(home, '.config/execplane/login.json');
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '', { mode: 0o600 });
    const { HOME, EXECPLANE_URL } = settings();
    const listed = await cli(['machines', 'ls'], { HOME, EXECPLANE_URL });
    expect(listed).toMatchObject({ code: 2, stderr: expect.stringContaining('run "execplane login" again') });
    const login = new Started(
      'sh',
      ['-c', `echo "$KEY" | "${process.execPath}" "${MAIN}" login --ca-file ca.pem`],
      {
        ...baseEnv({ HOME, EXECPLANE_URL, KEY: deployment.server.key }),
      },
      writeCa(),
    );
    expect((await login.exited).code, login.stderr).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      url: `${EXECPLANE_URL}/`,
      ca_file: join(home, 'ca.pem'),
    });
    expect((await cli(['machines', 'ls'], { HOME })).code).toBe(0);
    rmSync(file);
  });

  /** The parent directory of the file. */
  function writeCa(): string {
    const pem = new URL('../server/fixtures/test-only-cert.pem', import.meta.url);
    writeFileSync(join(home, 'ca.pem'), readFileSync(pem));
    return home;
  }
});

describe('an answer that is not from a server of Execplane', () => {
  test.each([
    [
      'a page',
      json('<html>', 200, { 'content-type': 'text/html' }),
      /answers HTTP 200 with text\/html.*\nAnother program/s,
    ],
    [
      'a redirect',
      json({}, 301, { location: 'https://x.example/' }),
      /redirect \(301\) to https:\/\/x.example\/.*\nSet EXECPLANE_URL/s,
    ],
  ])('%s', async (_what, script, message) => {
    const server = await scriptedServer(script);
    const { code, stderr } = await cli(['machines', 'ls'], settings({ EXECPLANE_URL: server.url }));
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(server.asked).toHaveLength(1);
  });

  test('a create whose answer was cut is sent again with its idempotency key, and runs once', async () => {
    const target = new URL(deployment.server.url);
    let posts = 0;
    const keys = new Set<unknown>();
    const proxy = createServer((incoming, outgoing) => {
      const options = {
        host: target.hostname,
        port: target.port,
        method: incoming.method,
        path: incoming.url,
        headers: incoming.headers,
      };
      const forwarded = request(options, (answer) => {
        const cutHere = incoming.method === 'POST' && ++posts === 1;
        if (incoming.method === 'POST') keys.add(incoming.headers['idempotency-key']);
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        if (cutHere)
          answer.once('data', (bytes: Buffer) => outgoing.write(bytes.subarray(0, 20), () => outgoing.destroy()));
        else answer.pipe(outgoing);
      });
      incoming.pipe(forwarded);
    });
    const port = await freePort();
    await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    const { code, stdout } = await cli(
      ['exec', 'dm-test', '--', 'sh', '-c', 'echo ran >> "$0"; cat "$0"', join(home, 'ran')],
      settings({ EXECPLANE_URL: `http://127.0.0.1:${port}` }),
    );
    expect(stdout).toBe('ran\n');
    expect(code).toBe(0);
    expect(posts).toBe(2);
    expect(keys.size).toBe(1);
  });
});

describe('flags', () => {
  test('--insecure does not take the next flag as its value', async () => {
    const { code, stdout } = await cli(['machines', 'ls', '--insecure', '--json'], settings());
    expect(JSON.parse(stdout)).toMatchObject({ items: [{ machine_id: 'dm-test' }] });
    expect(code).toBe(0);
  });

  test('a setting without its value is named', async () => {
    const { code, stderr } = await cli(['machines', 'ls', '--url', '--json'], settings());
    expect(stderr).toMatch(/--url.*Its value is missing/);
    expect(code).toBe(2);
  });

  test.each([
    ['web-1', 'dm-web-1'],
    ['DM_Web 1', 'dm-dm-web-1'],
    ['dm-', 'dm-web-1'],
  ])('machines create %s shows a valid id: %s', async (id, near) => {
    const { code, stderr } = await cli(['machines', 'create', id], settings());
    expect(stderr).toContain('cannot be the id of a machine');
    expect(stderr).toContain(`${near}.`);
    expect(code).toBe(2);
  });
});

describe('a machine that is away', () => {
  test('is reported and waited for as long as --wait says, and then the command does not run', async () => {
    await cli(['machines', 'create', 'dm-new'], settings());
    const { code, stderr } = await cli(['exec', 'dm-new', '--wait', '300ms', '--', 'true'], settings());
    expect(stderr).toMatch(/^execplane: dm-new has never joined: waiting .* for it \(--wait\)\n/);
    expect(stderr).toContain('dm-new has never joined; the command was not run.');
    expect(code).toBe(125);
    const { items } = await deployment.client.ask<{ items: { status: string }[] }>(
      'GET',
      '/v1/machines/dm-new/executions',
    );
    expect(items.map(({ status }) => status)).toEqual(['cancelled']);
  });

  test('and connects in time runs the command', async () => {
    await deployment.agent.detach();
    await deployment.away();
    const exec = new Started(
      process.execPath,
      [MAIN, 'exec', 'dm-test', '--wait', '60s', '--', 'echo', 'here'],
      baseEnv(settings()),
    );
    await new Promise<void>((resolve) => exec.child.stderr?.once('data', () => resolve()));
    deployment.agent.restart();
    expect(await exec.exited).toMatchObject({ code: 0 });
    expect(exec.stdout).toBe('here\n');
    expect(exec.stderr).toMatch(/^execplane: dm-test is offline \(last seen .*\): waiting 1m for it/);
  });
});

test('completion sends one request and does not retry, so that the shell does not hang', async () => {
  const busy = { error_code: 'RATE_LIMITED', message: 'Too many requests.', retryable: true, retry_after_ms: 1 };
  const server = await scriptedServer(json(busy, 429));
  const env = settings({ EXECPLANE_URL: server.url, EXECPLANE_COMPLETING: '1' });
  expect((await cli(['machines', 'ls', '--quiet'], env)).code).toBe(1);
  expect(server.asked).toHaveLength(1);
});

test('HTTP_PROXY is used, except for the hosts in NO_PROXY', async () => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on('request', (incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    const { hostname, port, pathname, search } = new URL(incoming.url ?? '');
    const options = { hostname, port, path: pathname + search, method: incoming.method, headers: incoming.headers };
    incoming.pipe(
      request(options, (answer) => answer.pipe(outgoing.writeHead(answer.statusCode ?? 500, answer.headers))),
    );
  });
  proxy.on('connect', (incoming, socket, head) => {
    asked.push(incoming.url ?? '');
    const { hostname, port } = new URL(`http://${incoming.url}`);
    const through = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.write(head);
      through.pipe(socket).pipe(through);
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const env = settings({ HTTP_PROXY: `http://127.0.0.1:${port}` });
  expect(await cli(['exec', 'dm-test', '--', 'echo', 'through'], env)).toMatchObject({ code: 0, stdout: 'through\n' });
  expect(asked.length).toBeGreaterThan(0);
  asked.length = 0;
  expect((await cli(['machines', 'ls'], { ...env, NO_PROXY: '127.0.0.1' })).code).toBe(0);
  expect(asked).toEqual([]);
});
