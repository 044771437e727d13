import { expect, test } from 'vitest';
import { listenFailure } from '../../../src/cli/up/listen-failure.ts';

test('a failure to listen that has nothing to do with the address is left as it is', () => {
  const error = Object.assign(new Error('disk'), { code: 'EIO' });
  expect(listenFailure(error, { host: '127.0.0.1', port: 1 })).toBe(error);
});
