/** Completion in a real bash, with a stub of `execplane`. */
import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { specsOf } from '../../../src/cli/commands/completion.ts';
import { type CommandSpec, SHELLS } from '../../../src/cli/completion-scripts.ts';
import { COMMAND_NAMES, COMMANDS } from '../../../src/cli/commands/program.ts';

let specs: CommandSpec[];

beforeAll(async () => {
  specs = await specsOf(COMMANDS);
});

/** The completions that bash offers for the last word of the line. */
function offered(...line: string[]): string[] {
  const words = ['execplane', ...line].map((word) => `'${word}'`).join(' ');
  const script = `
execplane() { case "$*" in
  "machines ls --quiet") printf 'dm-one\\ndm-two\\n' ;;
  "executions ls dm-one --quiet") printf 'ex-1\\nex-2\\n' ;;
  "keys ls --quiet") echo key-1 ;;
  "batches ls --quiet") echo batch-1 ;;
  *) echo "asked: $*" ;;
esac; }
${SHELLS['bash']?.(specs)}
COMP_WORDS=(${words}); COMP_CWORD=${line.length}
_execplane
printf '%s\\n' "\${COMPREPLY[@]-}"`;
  const printed = execFileSync('bash', ['--norc', '-uc', script], { encoding: 'utf8' });
  return printed.split('\n').filter((word) => word !== '');
}

test('commands and subcommands are offered', () => {
  expect(offered('')).toEqual(COMMAND_NAMES);
  expect(offered('ex')).toEqual(['exec', 'executions']);
  expect(offered('executions', '')).toEqual(['ls', 'show', 'logs', 'output', 'cancel']);
  expect(offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
});

test('the options of the given command are offered', () => {
  expect(offered('exec', 'dm-one', '--ti')).toEqual(['--timeout']);
  expect(offered('executions', 'logs', '--fo')).toEqual(['--follow']);
  expect(offered('executions', 'show', '--fo')).toEqual([]);
  expect(offered('server', '--max-body')).toEqual(['--max-body-bytes']);
  expect(offered('agent', 'stop', '--a')).toEqual(['--agent-dir']);
});

test('machines, executions and keys of the server are offered', () => {
  expect(offered('exec', 'dm-t')).toEqual(['dm-two']);
  expect(offered('machines', 'rm', '')).toEqual(['dm-one', 'dm-two']);
  expect(offered('executions', 'logs', 'dm-one', '')).toEqual(['ex-1', 'ex-2']);
  expect(offered('keys', 'revoke', '')).toEqual(['key-1']);
  expect(offered('batches', 'cancel', '')).toEqual(['batch-1']);
});

test('nothing is offered after --, or for an operand that is a new name', () => {
  expect(offered('exec', 'dm-one', '--', 'ls', '-')).toEqual([]);
  expect(offered('keys', 'create', '')).toEqual([]);
});

test.each(Object.keys(SHELLS))('the script for %s has every command and every option', (shell) => {
  const script = SHELLS[shell]?.(specs) ?? '';
  for (const { path, options } of specs) {
    expect(script).toContain(path);
    for (const option of options) expect(script).toContain(option);
  }
});
