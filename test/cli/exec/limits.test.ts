import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addLimitOptions, type LimitFlags, limitsOf } from '../../../src/cli/exec/limits.ts';

function parse(...argv: string[]) {
  const command = addLimitOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  return limitsOf(command.parse(argv, { from: 'user' }).opts<LimitFlags>());
}

test.each([
  ['1', 1],
  ['2048', 2048],
  ['64k', 65_536],
  ['512m', 536_870_912],
  ['512MiB', 536_870_912],
  ['1.5g', 1_610_612_736],
  ['1TB', 1_099_511_627_776],
])('--memory %s is accepted', (text, bytes) => {
  expect(parse('--memory', text)).toEqual({ memory_bytes: bytes });
});

test.each(['0', '-1', '1x', 'm', '', '1 g', '99999999t', '0.1'])('--memory %s is refused', (text) => {
  expect(() => parse(`--memory=${text}`)).toThrow('number of bytes');
});

test.each(['0', '-1', 'x', '1e3', ''])('--cpus %s is refused', (text) => {
  expect(() => parse(`--cpus=${text}`)).toThrow('above 0');
});

test('there is no limit without a flag, and all three can be combined', () => {
  expect(parse()).toBeUndefined();
  expect(parse('--cpus', '0.5', '--pids', '10', '--memory', '1g')).toEqual({
    memory_bytes: 1_073_741_824,
    cpus: 0.5,
    pids: 10,
  });
});
