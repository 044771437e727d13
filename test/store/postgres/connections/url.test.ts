/** PostgreSQL URLs, parsed as libpq does. */
import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../../../../src/store/postgres/connections/url.ts';

describe('a database URL', () => {
  it('names hosts in the order of attempts, a user and a database', () => {
    expect(parseDatabaseUrl('postgres://me:p%40ss@one:5433,two,[::1]:5434/app')).toMatchObject({
      targets: [
        { host: 'one', port: 5433 },
        { host: 'two', port: 5432 },
        { host: '::1', port: 5434 },
      ],
      user: 'me',
      password: 'p@ss',
      database: 'app',
    });
    expect(parseDatabaseUrl('postgresql://me@%2Frun%2Fpg/app')).toMatchObject({ targets: [{ host: '/run/pg' }] });
  });

  it('may ask for the primary, which every connection looks for', () => {
    expect(parseDatabaseUrl('postgres://me@h/d?target_session_attrs=read-write')).toMatchObject({ database: 'd' });
  });

  it.each([
    ['disable', [false]],
    ['allow', [false, { rejectUnauthorized: false }]],
    ['prefer', [{ rejectUnauthorized: false }, false]],
    ['require', [{ rejectUnauthorized: false }]],
    ['verify-ca', [{ rejectUnauthorized: true, checkServerIdentity: expect.any(Function) }]],
  ])('accepts sslmode %s with the meaning of libpq', (mode, encryptions) => {
    expect(parseDatabaseUrl(`postgres://me@h/d?sslmode=${mode}`).encryptions).toMatchObject(encryptions);
  });

  it('verifies the name of the host with verify-full only', () => {
    const [tls] = parseDatabaseUrl('postgres://me@h/d?sslmode=verify-full').encryptions;
    expect(tls).toEqual({ rejectUnauthorized: true });
  });

  it.each([
    ['mysql://me@h/d', /form postgres/],
    ['postgres://h/d', /no user/],
    ['postgres://me@h/', /no database/],
    ['postgres://me@h:x/d', /HOST:PORT/],
    ['postgres://me@h/d?sslmode=maybe', /sslmode/],
    ['postgres://me@h/d?ssl=true', /parameter ssl is not supported: remove it \(supported: sslmode,/],
    ['postgres://me@h/d?sslrootcert=/nowhere', /its sslrootcert: \/nowhere cannot be read: there is no such file/],
    ['postgres://me:100%@h/d', /hexadecimal/],
    ['postgres://me:a@100%@h/d', /write @ as %40/],
    ['postgres://me:a/100%@h/d', /write @ as %40/],
    ['postgres://me:a?100%@h/d', /write @ as %40/],
    ['postgres://me@::1/d', /IPv6 address: \[::1\]/],
    ['postgres://me@h:65536/d', /HOST:PORT/],
    ['postgres://me@h/d?target_session_attrs=standby', /parameter target_session_attrs is not supported/],
  ])('is refused as %s, without its password', (url, message) => {
    expect(() => parseDatabaseUrl(url)).toThrow(message);
    expect(() => parseDatabaseUrl(url)).not.toThrow(/100%@/);
  });
});
