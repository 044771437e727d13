import { expect, test } from 'vitest';
import { isLoopback } from '../../../src/node/network/loopback.ts';

test.each(['localhost', 'LOCALHOST', '127.0.0.1', '127.255.0.9', '::1', '[::1]', '::ffff:127.0.0.1'])(
  '%s is loopback',
  (host) => {
    expect(isLoopback(host)).toBe(true);
  },
);

test.each(['', '127', '127.evil.example', '1270.0.0.1', '128.0.0.1', '::2', 'localhost.example', '::ffff:10.0.0.1'])(
  '%s is not loopback',
  (host) => {
    expect(isLoopback(host)).toBe(false);
  },
);
