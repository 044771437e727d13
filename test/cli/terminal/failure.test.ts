/** The messages for a server that cannot be reached. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { failureOf } from '../../../src/cli/terminal/failure.ts';
import { RefusedError, UnreachableError } from '../../../src/client/main.ts';

beforeEach(() => {
  for (const name of ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY'])
    vi.stubEnv(name, '');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

test.each([
  ['EPROTO', /does not speak TLS \(try http:/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /does not speak TLS \(try http:/],
  ['ECONNREFUSED', /nothing listens there/],
])('%s gets a reason without the words of a library', (code, reason) => {
  const cause = Object.assign(
    new Error(`write ${code} 409DA2:error:0A00010B:SSL routines:tls_validate_record_header\n`),
    {
      code,
    },
  );
  const { message } = failureOf(new UnreachableError('https://127.0.0.1:7411', { cause }));
  expect(message).toMatch(reason);
  expect(message).not.toMatch(/SSL routines|\n/);
});

test('a proxy that cannot be reached is named, not the server', () => {
  vi.stubEnv('HTTPS_PROXY', 'http://user:secret@proxy.example.com:3128');
  const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
  const { message, hint } = failureOf(new UnreachableError('https://execplane.example.com', { cause }));
  expect(message).toBe(
    'https://execplane.example.com cannot be reached through the proxy proxy.example.com:3128: nothing listens there.',
  );
  expect(hint).toMatch(/^Check the proxy/);
});

test('a 404 from an address with a path says what such a path needs', () => {
  const refused = (base: string) =>
    failureOf(new RefusedError(new Response('', { status: 404 }), { detail: 'No.' }, '/v1/machines', base));
  expect(refused('https://x.example').hint).toBe('List what exists with "execplane machines ls".');
  expect(refused('https://x.example/prefix').hint).toContain(
    'its path /prefix is right only if a proxy maps it to the server',
  );
});
