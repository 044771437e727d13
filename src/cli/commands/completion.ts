import { Argument, Command } from 'commander';
import { type CommandSpec, SHELLS } from '../completion-scripts.ts';
import { print } from '../streams/output.ts';

interface Loadable {
  name: string;
  load: () => Promise<() => Command | Promise<Command>>;
}

const EXAMPLES = `
Examples:
  source <(execplane completion bash)
  execplane completion zsh > "\${fpath[1]}/_execplane"
  execplane completion fish > ~/.config/fish/completions/execplane.fish`;

/** `execplane completion SHELL`: generates the script from the commands themselves. */
export function completionCommand(commands: readonly Loadable[]): Command {
  return new Command('completion')
    .description('Print a completion script for your shell: commands, options, machines and executions.')
    .addArgument(new Argument('<SHELL>').choices(Object.keys(SHELLS)))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: string) => {
      print(`${SHELLS[shell]?.(await specsOf(commands)) ?? ''}\n`);
    });
}

/** Describes every command and subcommand for the completion script. */
export async function specsOf(commands: readonly Loadable[]): Promise<CommandSpec[]> {
  const loaded = await Promise.all(commands.map(async ({ load }) => (await load())()));
  return loaded.flatMap((command) => [
    specOf(command.name(), command),
    ...command.commands.map((child) => specOf(`${command.name()} ${child.name()}`, child)),
  ]);
}

function specOf(path: string, command: Command): CommandSpec {
  return {
    path,
    children: command.commands.map((child) => child.name()),
    options: [...command.options.map(({ long, short }) => long ?? short ?? ''), '--help'],
    operands: command.registeredArguments
      .filter(({ required }) => required)
      .map((operand) => ({
        name: operand.name(),
        choices: operand.argChoices ?? [],
      })),
  };
}
