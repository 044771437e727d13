/** Attempts to bypass a policy with real commands. The rules must check exactly the file that the kernel executes. */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { Start } from '../../../src/core/protocol.ts';
import { linkedRunner } from '../../helpers/runner-process.ts';

vi.setConfig({ testTimeout: 60_000 });

const ID = '/usr/bin/id';
const ECHO = '/usr/bin/echo';
const LONG = `/${'x'.repeat(5000)}`;

interface Place {
  /** A world-writable folder. */
  open: string;
  /** A folder whose programs are allowed. */
  allowed: string;
}

function place(directory: string): Place {
  const [open, allowed] = [join(directory, 'open'), join(directory, 'allowed')];
  for (const folder of [open, allowed]) mkdirSync(folder);
  copyFileSync(ECHO, join(allowed, 'tool'));
  symlinkSync(ID, join(allowed, 'link'));
  symlinkSync(ID, join(open, 'echo'));
  symlinkSync('/usr/bin', join(open, 'bin'));
  writeFileSync(join(open, 'locked'), '#!/bin/sh\nid\n', { mode: 0o600 });
  chmodSync(open, 0o777);
  return { open, allowed };
}

test.each<[string, (at: Place) => [string[], Partial<Start>]]>([
  ['through /proc/self/cwd and a directory of the caller', () => [['/proc/self/cwd/../bin/id'], { cwd: '/usr/lib' }]],
  ['a relative name', () => [['../bin/id'], { cwd: '/usr/lib' }]],
  ['a link in an allowed folder', ({ allowed }) => [[join(allowed, 'link')], {}]],
  ['a link in a folder of the caller, by PATH', ({ open }) => [['echo'], { env: { PATH: open } }]],
  ['a PATH element with a link in it', ({ open }) => [['id'], { env: { PATH: join(open, 'bin') } }]],
  ['a PATH element that is too long before the one that counts', () => [['id'], { env: { PATH: `${LONG}:/usr/bin` } }]],
  ['an empty PATH element', () => [['id'], { env: { PATH: ':' }, cwd: '/usr/bin' }]],
  ['through /proc/self/root', () => [['/proc/self/root/usr/bin/id'], {}]],
])('%s does not bypass deny_commands', async (_name, command) => {
  const { link, directory } = await linkedRunner();
  const [argv, more] = command(place(directory));
  writeFileSync(join(directory, 'policy.json'), JSON.stringify({ deny_commands: [ID] }), { mode: 0o600 });
  const { ended, started, stdout } = await link.run('a', argv, more);
  expect([started, stdout.toString(), ended.error_code]).toEqual([false, '', 'policy_denied']);
  expect(ended.error_message).toContain(ID);
});

test('a rule that pins arguments applies to the file, not the name; a link to another program is refused', async () => {
  const { link, directory } = await linkedRunner();
  const { open, allowed } = place(directory);
  const rules = {
    allow_commands: [
      [join(allowed, 'tool'), 'hello'],
      [join(open, 'echo'), 'hello'],
    ],
  };
  writeFileSync(join(directory, 'policy.json'), JSON.stringify(rules), { mode: 0o600 });
  expect((await link.run('a', [join(allowed, 'tool'), 'hello'])).stdout.toString()).toBe('hello\n');
  expect((await link.run('b', [join(allowed, 'tool'), 'other'])).ended.error_code).toBe('policy_denied');
  expect((await link.run('c', [join(open, 'echo'), 'hello'])).ended.error_code).toBe('policy_denied');
});

test('a working directory is checked by its real path', async () => {
  const { link, directory } = await linkedRunner();
  const { open } = place(directory);
  writeFileSync(join(directory, 'policy.json'), JSON.stringify({ allow_cwd: [`${directory}/**`] }), { mode: 0o600 });
  expect((await link.run('a', ['/bin/pwd'], { cwd: open })).ended.status).toBe('succeeded');
  expect((await link.run('b', ['/bin/pwd'], { cwd: join(open, 'bin') })).ended.error_code).toBe('policy_denied');
});

test('a script is run by its real path, with its arguments unchanged', async () => {
  const { link, directory } = await linkedRunner();
  const { allowed } = place(directory);
  const script = join(allowed, 'script');
  writeFileSync(script, '#!/bin/sh\necho "$0" "$@"\n', { mode: 0o755 });
  symlinkSync(script, join(directory, 'name'));
  writeFileSync(join(directory, 'policy.json'), JSON.stringify({ allow_commands: [script] }), { mode: 0o600 });
  expect((await link.run('a', [join(directory, 'name'), 'x'])).stdout.toString()).toBe(`${script} x\n`);
});

test.runIf(process.getuid?.() === 0)(
  'a file that the target user cannot execute is not the one that is checked',
  async () => {
    const { link, directory } = await linkedRunner();
    const { open } = place(directory);
    chmodSync(directory, 0o755);
    copyFileSync(ECHO, join(open, 'id'));
    chmodSync(join(open, 'id'), 0o700);
    writeFileSync(join(directory, 'policy.json'), JSON.stringify({ deny_commands: [ID] }), { mode: 0o600 });
    const { ended } = await link.run('a', ['id'], { user: 'nobody', env: { PATH: `${open}:/usr/bin` } });
    expect(ended).toMatchObject({ error_code: 'policy_denied', error_message: expect.stringContaining(ID) });
  },
);

test('an argument of megabytes does not stall the glob matcher', async () => {
  const { link, directory } = await linkedRunner();
  const rules = {
    allow_commands: [
      ['/usr/bin/echo', '*a*a*a*b'],
      ['/usr/bin/echo', '**'],
    ],
  };
  writeFileSync(join(directory, 'policy.json'), JSON.stringify(rules), { mode: 0o600 });
  link.start('large', ['/usr/bin/echo', ...Array.from({ length: 15 }, () => 'a'.repeat(100_000))]);
  expect((await link.run('other', ['/usr/bin/echo', 'hello'])).stdout.toString()).toBe('hello\n');
  expect((await link.ended('large')).ended.status).toBe('succeeded');
});
