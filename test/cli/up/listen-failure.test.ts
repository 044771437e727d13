import { expect, test } from 'vitest';
import { listenFailure } from '../../../src/cli/up/listen-failure.ts';

test('an error unrelated to the address is returned unchanged', () => {
  const error = Object.assign(new Error('disk'), { code: 'EIO' });
  expect(listenFailure(error, { host: '127.0.0.1', port: 1 })).toBe(error);
});
