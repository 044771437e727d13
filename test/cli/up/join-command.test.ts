import { expect, test, vi } from 'vitest';
import { findInstaller, joinCommand } from '../../../src/cli/up/join-command.ts';

const URL_HERE = new URL('https://execplane.example.com:7411/');

test.each([
  [URL_HERE, 'server', 'echo xpj_1 | sh -c "$(curl -fsSL https://execplane.example.com:7411/install.sh)"'],
  [URL_HERE, 'folder', 'echo xpj_1 | sh install-agent.sh --url https://execplane.example.com:7411'],
  [new URL('http://[::1]:1/a&b'), 'folder', "echo xpj_1 | sh install-agent.sh --url 'http://[::1]:1/a&b'"],
] as const)('%s, installer of the %s: %s', (url, installer, line) => {
  expect(joinCommand(url, 'xpj_1', installer)).toBe(line);
});

test.each([
  ['a server that serves it', {}, 200, 'server'],
  ['a server that does not', {}, 404, 'folder'],
  ['a server with a private authority, which curl does not know', { ca: 'PEM' }, 200, 'folder'],
  ['a server without TLS', { url: new URL('http://execplane.example.com') }, 200, 'folder'],
] as const)('findInstaller returns the place of the installer: %s', async (_, settings, status, place) => {
  const answer = vi.fn(async () => new Response(null, { status }));
  expect(await findInstaller({ url: URL_HERE, fetch: answer, ...settings })).toBe(place);
  if (place === 'server') expect(answer).toHaveBeenCalledWith(`${URL_HERE.href}install.sh`, { method: 'HEAD' });
});

test('a server that cannot be reached counts as one without an installer', async () => {
  const fetch = () => Promise.reject(new Error('no connection'));
  expect(await findInstaller({ url: URL_HERE, fetch })).toBe('folder');
});
