import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../src/cli/exec/exit-code.ts';
import { COMMANDS } from '../../src/cli/commands/program.ts';
import { parseDuration } from '../../src/cli/terminal/duration.ts';
import { shellWords } from '../../src/cli/terminal/print.ts';
import { listenFailure } from '../../src/cli/up/listen-failure.ts';

describe('durations', () => {
  test.each([
    ['30', 30_000],
    ['0.5', 500],
    ['30s', 30_000],
    ['500ms', 500],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', 's', '30x', '-1s', '1 s', '1e3'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow('Write it as');
  });
});

describe('exit codes', () => {
  test.each<[Parameters<typeof exitCodeOf>[0], number]>([
    [{ status: 'succeeded', exit_code: 0 }, 0],
    [{ status: 'failed', error_code: 'nonzero_exit', exit_code: 7 }, 7],
    [{ status: 'failed', error_code: 'signaled', signal: 9 }, 137],
    [{ status: 'expired', error_code: 'execution_timed_out', signal: 9 }, 124],
    [{ status: 'failed', error_code: 'command_not_found', exit_code: 127 }, 127],
    [{ status: 'failed', error_code: 'permission_denied', exit_code: 126 }, 126],
    [{ status: 'failed', error_code: 'agent_lost' }, 125],
    [{ status: 'failed', error_code: 'agent_stopped', signal: 15 }, 125],
    [{ status: 'failed', error_code: 'cwd_not_found' }, 125],
    [{ status: 'expired', error_code: 'start_timed_out' }, 125],
    [{ status: 'cancelled', error_code: 'cancelled', signal: 15 }, 143],
    [{ status: 'cancelled', error_code: 'cancelled' }, 125],
    [{ status: 'cancelled', error_code: 'cancelled', exit_code: 0 }, 125],
  ])('%j is %d', (end, code) => expect(exitCodeOf(end)).toBe(code));
});

test('an argv is shown as a shell would take it', () => {
  expect(shellWords(['sh', '-c', "echo 'a b'", ''])).toBe(`sh -c 'echo '\\''a b'\\''' ''`);
});

test('a failure to listen that has nothing to do with the address is left as it is', () => {
  const error = Object.assign(new Error('disk'), { code: 'EIO' });
  expect(listenFailure(error, { host: '127.0.0.1', port: 1 })).toBe(error);
});

describe('the program', () => {
  let commands: readonly Command[];

  beforeAll(async () => {
    commands = await Promise.all(COMMANDS.map(async ({ load }) => (await load())()));
  });

  test('every command has help with an example', () => {
    const leaves = commands.flatMap((command) => [command, ...command.commands]).filter((one) => !isGroup(one));
    expect(leaves.length).toBeGreaterThan(20);
    for (const leaf of leaves) expect(helpOf(leaf), leaf.name()).toMatch(/Examples:\n {2}\S/);
  });
});

function isGroup(command: Command): boolean {
  return command.commands.length > 0 && command.options.length === 0;
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}
