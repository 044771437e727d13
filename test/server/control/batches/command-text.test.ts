import { expect, test } from 'vitest';
import { type BatchCommand, commandText, readCommand } from '../../../../src/server/control/batches/command-text.ts';

const BYTES = Buffer.from([0, 255, 10]);

test.each<BatchCommand>([
  { command: ['true'], stdin: { mode: 'none' }, env: {} },
  {
    command: ['sh', '-c', ''],
    stdin: { mode: 'fixed', bytes: BYTES },
    env: { A: '1' },
    cwd: '/tmp',
    user: 'build',
    timeoutMs: 1_000,
    startWithinMs: 2_000,
    callbackUrl: 'https://example.com/hook',
    limits: { cpus: 0.5, pids: 10 },
    declaredArtifacts: [{ path: 'out/*', if_missing: 'fail' }],
  },
])('a command survives its conversion to text and back: %j', (command) => {
  expect(readCommand(commandText(command))).toStrictEqual(command);
});

test.each(['{}', '{"command":"true","stdin":{"mode":"none"},"env":{}}'])('%s is not a command', (text) => {
  expect(() => readCommand(text)).toThrow(/malformed/);
});
