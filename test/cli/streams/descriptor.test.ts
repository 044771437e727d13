/** Stdin, stdout and stderr of all types that shells open. The bytes must be exact, or the CLI must fail. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDirectory, removeDirectory } from '../../helpers/directories.ts';
import { baseEnv, Deployment, MAIN } from '../../helpers/harness.ts';
import { Started, until } from '../../helpers/processes.ts';

const LAUNCHER = join(MAIN, '../execplane');
let deployment: Deployment;
let dir: string;

beforeAll(async () => {
  deployment = await Deployment.start({ server: { EXECPLANE_MAX_OUTPUT_BYTES: '2000000' } });
  dir = makeDirectory('descriptors');
}, 60_000);
afterAll(async () => {
  await deployment.dispose();
  await removeDirectory(dir);
}, 60_000);

/** A shell line in an empty directory; `X` runs the CLI, `M` is `exec` on the machine. */
function shell(line: string): Started {
  const prelude = `X() { "${process.execPath}" "${MAIN}" "$@"; }; M() { X exec dm-test "$@"; };`;
  return new Started('bash', ['-c', `${prelude} ${line}`], environment(), dir);
}

function environment() {
  return baseEnv({
    EXECPLANE_URL: deployment.server.url,
    EXECPLANE_API_KEY: deployment.server.key,
    LAUNCHER,
    PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:${process.env['PATH']}`,
  });
}

async function run(line: string) {
  const started = shell(line);
  const { code } = await started.end('SIGCONT', 60_000);
  return { code, stdout: started.stdout, stderr: started.stderr };
}

async function running(): Promise<{ execution_id: string }[]> {
  const list = await deployment.client.ask<{ items: { execution_id: string }[] }>(
    'GET',
    '/v1/machines/dm-test/executions?status=running',
  );
  return list.items;
}

describe('stdin', () => {
  test.each([
    ['a device without end', 'M -- head -c 300000 < /dev/zero | wc -c', '300000'],
    ['a file', 'head -c 300000 /dev/zero > in; M -- wc -c < in', '300000'],
    ['a file, from where it stands', 'printf abcdef > in; { dd bs=3 count=1 >/dev/null 2>&1; M -- cat; } < in', 'def'],
    ['a pipe', 'head -c 300000 /dev/zero | M -- wc -c', '300000'],
    ['a named pipe', 'mkfifo f; { printf abc > f & }; M -- cat < f', 'abc'],
    ['nothing', 'M -- wc -c < /dev/null', '0'],
    ['a closed one', 'M -- wc -c <&-', '0'],
  ])('can be %s', async (_what, line, printed) => {
    const { code, stdout, stderr } = await run(line);
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(printed);
    expect(code).toBe(0);
  });

  test('can be a socket', async () => {
    const server = `require('net').createServer((s) => { process.stdout.write(''); s.end('through a socket'); }).listen('socket')`;
    const line = `"${process.execPath}" -e "${server}" & until [ -S socket ]; do sleep 0.05; done
      "${process.execPath}" -e "const s = require('net').connect('socket', () => {
        const { status } = require('child_process').spawnSync(process.execPath, [process.argv[1], 'exec', 'dm-test', '--', 'cat'],
          { stdio: [s._handle, 'inherit', 'inherit'] });
        process.exit(status);
      }); s.pause();" "${MAIN}"; code=$?; kill %1; exit $code`;
    expect(await run(line)).toMatchObject({ code: 0, stdout: 'through a socket' });
  });

  test('that is a directory is an error, and the command is cancelled', async () => {
    const { code, stderr } = await run('M -- sleep 300 < /');
    expect(stderr).toBe('execplane: stdin cannot be read: illegal operation on a directory.\n');
    expect(code).toBe(125);
    await until('nothing runs', async () => (await running()).length === 0);
  });
});

describe('stdout', () => {
  test('can be a file, appended to and written at its present position', async () => {
    const { code } = await run(
      'printf head > out; M -- printf 1 >> out; { printf 2; M -- printf 3; printf 4; } >> out',
    );
    expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('head1234');
    expect(code).toBe(0);
  });

  test.each([
    ['exec', 'M -- sh -c "echo x; exec sleep 300" > /dev/full'],
    ['exec --json', 'M --json -- true > /dev/full'],
    ['machines ls', 'X machines ls > /dev/full'],
    ['executions ls --json', 'X executions ls dm-test --json > /dev/full'],
    ['--help', 'X --help > /dev/full'],
    ['completion', 'X completion bash > /dev/full'],
  ])('on a full disk, %s, gives one sentence and 125, and nothing keeps running', async (_what, line) => {
    const { code, stderr } = await run(line);
    expect(stderr).toBe('execplane: stdout cannot be written: no space left on device.\n');
    expect(code).toBe(125);
    await until('nothing runs', async () => (await running()).length === 0);
  });

  test('gets a hundred KiB of JSON completely through a slow pipe', async () => {
    const { stdout } = await run(`M --json -- true "$(head -c 100000 /dev/zero | tr '\\0' x)" | { sleep 0.2; wc -c; }`);
    expect(Number(stdout)).toBeGreaterThan(100_000);
  });

  test('stdout gets all output, however little the server keeps of it', async () => {
    expect(await run('M -- head -c 40000000 /dev/zero | wc -c')).toMatchObject({ code: 0, stdout: '40000000\n' });
    expect(await run('M -- sh -c "head -c 20000000 /dev/zero >&2" 2>&1 >/dev/null | wc -c')).toMatchObject({
      code: 0,
      stdout: '20000000\n',
    });
  });

  test('output that the server did not keep is an error of executions logs and output', async () => {
    const { execution_id: id } = await deployment.machine.run({ command: ['head', '-c', '3000000', '/dev/zero'] });
    for (const command of ['logs', 'output']) {
      const { code, stderr } = await run(`X executions ${command} dm-test ${id} > out`);
      expect(stderr).toContain('did not keep all of the output');
      expect(stderr).toContain('stdout of 3000000 bytes');
      expect(code).toBe(125);
    }
  });
});

test('pipes that are shared with other processes stay blocking', async () => {
  // O_NONBLOCK is octal 4000 in the flags of /proc/PID/fdinfo.
  const line = `{ M -- sh -c 'echo started; cat' <&3 | { read started; echo $started; grep flags /proc/self/fdinfo/0; cat; } } 3< <(
      sleep 0.5; printf done) `;
  const { stdout } = await run(line);
  expect(stdout).toMatch(/started\nflags:\t0[0-3]\d*\ndone/);
  const shared = await run(
    `{ M -- true; grep -h flags /proc/self/fdinfo/1 >&2; } | cat; { M -- cat | cat; grep -h flags /proc/self/fdinfo/0 >&2; } < <(sleep 0.3)`,
  );
  for (const flags of shared.stderr.match(/flags:\t(\d+)/g) ?? [])
    expect(Number.parseInt(flags.slice(7), 8) & 0o4000).toBe(0);
  expect(shared.stderr.match(/flags/g)).toHaveLength(2);
});

describe('arguments', () => {
  test.each([
    ['an argument', `M -- echo $'a\\xff'`, 'argument 5'],
    ['a value of --env', `M --env $'A=\\xff' -- true`, 'argument 4'],
    ['a variable that is passed on', `A=$'\\xff' M -e A -- true`, 'the variable A'],
    ['a setting', `EXECPLANE_URL=$'http://\\xff' X status`, 'the variable EXECPLANE_URL'],
  ])('%s that is not UTF-8 is refused', async (_what, line, named) => {
    const { code, stderr, stdout } = await run(line);
    expect(stderr).toContain(`${named}`);
    expect(stderr).toContain('is not UTF-8');
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('U+FFFD itself is accepted', async () => {
    expect(await run("M -- printf %s $'\\xef\\xbf\\xbd'")).toMatchObject({ code: 0, stdout: '\ufffd' });
  });

  test('variables come from a file, from here, and one overrides the other', async () => {
    writeFileSync(join(dir, 'variables'), '# comment\nA=1\n\nB=from file\nHERE\n');
    const line = 'HERE=h "$LAUNCHER" exec dm-test --env-file variables -e B=2 -- sh -c \'echo $A-$B-$HERE\'';
    expect(await run(line)).toMatchObject({ code: 0, stdout: '1-2-h\n' });
  });
});

test('a terminal that closes does not end a command under nohup', async () => {
  const started = shell(
    `nohup "$LAUNCHER" exec dm-test -- sh -c 'until [ -e ${dir}/go ]; do sleep 0.1; done; echo went on' > out 2>&1 & echo $!; wait`,
  );
  await until('it runs', async () => (await running()).length === 1);
  process.kill(Number(started.stdout.trim()), 'SIGHUP');
  writeFileSync(join(dir, 'go'), '');
  await started.exited;
  expect(readFileSync(join(dir, 'out'), 'utf8')).toContain('went on');
});

test('SIGHUP cancels the command without nohup', async () => {
  const started = shell(`"$LAUNCHER" exec dm-test -- sleep 300 & echo $!; wait $!; echo $?`);
  await until('it runs', async () => (await running()).length === 1);
  process.kill(Number(started.stdout.trim()), 'SIGHUP');
  await started.exited;
  expect(started.stdout).toMatch(/\n129\n$/);
});

test('megabytes through file, pipe and back are unchanged', async () => {
  const bytes = randomBytes(1_500_000);
  writeFileSync(join(dir, 'in'), bytes);
  const { stdout } = await run('M -- cat < in | tee out | sha256sum');
  expect(stdout).toContain(createHash('sha256').update(bytes).digest('hex'));
  expect(statSync(join(dir, 'out')).size).toBe(bytes.length);
});

test('-d prints the id and leaves the command running', async () => {
  const { code, stdout } = await run(`M -d -- sh -c 'touch ${dir}/detached; exec sleep 300'`);
  expect(code).toBe(0);
  await until('it runs', () => existsSync(join(dir, 'detached')));
  const id = stdout.trim();
  expect((await run(`X executions cancel dm-test ${id}`)).stdout).toContain(`${id}: cancelled`);
});
