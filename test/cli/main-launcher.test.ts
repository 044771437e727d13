/** The launcher finds its program, however it was started. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDirectory } from '../helpers/directories.ts';

const LAUNCHER = new URL('../../src/cli/launcher.sh', import.meta.url).pathname;
let place: string;
let cli: string;

beforeAll(() => {
  place = makeDirectory('a place with spaces');
  cli = join(place, 'package', 'dist', 'cli');
  mkdirSync(cli, { recursive: true });
  copyFileSync(LAUNCHER, join(cli, 'execplane'));
  chmodSync(join(cli, 'execplane'), 0o755);
  writeFileSync(join(cli, 'main.js'), 'console.log(JSON.stringify(process.argv.slice(2)))');
  mkdirSync(join(place, 'bin'));
  symlinkSync('../package/dist/cli/execplane', join(place, 'bin', 'execplane'));
  symlinkSync(join(place, 'bin', 'execplane'), join(place, 'second'));
  symlinkSync('package', join(place, 'linked'));
});

afterAll(() => rmSync(place, { recursive: true }));

test.each<[string, () => { program: string; args?: string[]; cwd?: string; path?: string }]>([
  ['by its path', () => ({ program: join(cli, 'execplane') })],
  ['by a relative path', () => ({ program: './cli/execplane', cwd: dirname(cli) })],
  ['by a link, as npm makes it', () => ({ program: join(place, 'bin', 'execplane') })],
  ['by a link to a link', () => ({ program: join(place, 'second') })],
  ['through a linked folder', () => ({ program: join(place, 'linked', 'dist', 'cli', 'execplane') })],
  ['by the PATH', () => ({ program: 'execplane', path: join(place, 'bin') })],
  ['by a shell in its folder', () => ({ program: '/bin/sh', args: ['execplane'], cwd: cli })],
])('%s', (_name, start) => {
  const { program, args = [], cwd = '/', path = '' } = start();
  const env = { PATH: [path, dirname(process.execPath), process.env['PATH']].join(':') };
  const printed = execFileSync(program, [...args, 'exec', '--env-file', 'a b'], { cwd, env, encoding: 'utf8' });
  expect(JSON.parse(printed)).toEqual(['exec', '--env-file', 'a b']);
});
