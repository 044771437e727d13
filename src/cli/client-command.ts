import { Command } from 'commander';
import { addClientOptions, readClientConfig } from './config.ts';
import { Api } from './http/http.ts';

type Flags = Record<string, string>;

/** A command that talks to the server: it has the client's flags. */
export function clientCommand(nameAndArguments: string, description: string, examples?: string): Command {
  const command = addClientOptions(new Command(nameAndArguments.split(' ')[0])).description(description);
  const operands = nameAndArguments.split(' ').slice(1).join(' ');
  if (operands !== '') command.arguments(operands);
  if (examples !== undefined) command.addHelpText('after', `\nExamples:\n${examples}`);
  return command;
}

/** A command that only holds others. */
export function groupCommand(name: string, description: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(description);
  for (const command of commands) group.addCommand(command);
  return group;
}

/** The API as the flags of a command (and the environment) say. */
export function apiOf(flags: unknown): Api {
  return new Api(readClientConfig(flags as Flags));
}
