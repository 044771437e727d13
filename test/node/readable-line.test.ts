import { expect, test } from 'vitest';
import { readableLine } from '../../src/node/readable-line.ts';

const time = new Date(2026, 10, 28, 14, 2, 33).toISOString();
const readable = (fields: object) => readableLine(`${JSON.stringify({ time, ...fields })}\n`);

test('a readable line of the log has time, level, name, message, causes and values', () => {
  expect(readable({ level: 40, name: 'agent', msg: 'the link was cut', machine_id: 'dm-a', waits: [1] })).toBe(
    '14:02:33 warning: agent: the link was cut (machine_id=dm-a, waits=[1])\n',
  );
  const err = { type: 'Error', message: 'no commit', stack: 'Error\n  at', cause: { message: 'disk full' } };
  expect(readable({ level: 50, msg: 'an audit entry was lost', err })).toBe(
    '14:02:33 error: an audit entry was lost: no commit: disk full\n',
  );
  expect(readable({ level: 30, msg: 'listening' })).toBe('14:02:33 info: listening\n');
});

test('text from outside cannot break a line or send control characters to a terminal', () => {
  expect(readable({ level: 40, msg: 'a\nb\u001b[2J', machine_id: 'x\r' })).toBe(
    '14:02:33 warning: a\\nb\\u001b[2J (machine_id=x\\r)\n',
  );
  expect(readableLine('no JSON\n')).toBe('no JSON\n');
});
