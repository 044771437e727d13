/** What people read if the server cannot be reached. */
import { expect, test } from 'vitest';
import { failureOf } from '../../../src/cli/terminal/failure.ts';
import { UnreachableError } from '../../../src/client/main.ts';

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
