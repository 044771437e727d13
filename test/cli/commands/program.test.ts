import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/cli/commands/program.ts';

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
