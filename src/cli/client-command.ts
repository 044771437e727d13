import { Command } from 'commander';
import { type ClientOptions, Execplane } from '../client/main.ts';
import { addClientOptions, type ClientConfig, type ClientFlags, readClientConfig } from './config.ts';
import { fetchFor } from './fetch.ts';
import { kernelKey } from './kernel-key.ts';
import { resolveOperand } from './machine-name.ts';

/** Creates a command that sends requests to the server, with the client's flags. */
export function clientCommand(nameAndArguments: string, description: string, examples?: string): Command {
  const command = addClientOptions(new Command(nameAndArguments.split(' ')[0])).description(description);
  const operands = nameAndArguments.split(' ').slice(1).join(' ');
  if (operands !== '') command.arguments(operands);
  if (examples !== undefined) command.addHelpText('after', `\nExamples:\n${examples}`);
  return command.hook('preAction', (_, self) => resolveOperand(self, clientOf));
}

/** Creates a command that only groups subcommands. */
export function groupCommand(name: string, description: string, commands: readonly Command[]): Command {
  const group = new Command(name).description(description);
  for (const command of commands) group.addCommand(command);
  return group;
}

/** Returns a client for the flags of a command and the environment. */
export function clientOf(flags: unknown): Execplane {
  return clientFor(readClientConfig(flags as ClientFlags));
}

/** Returns a client with these settings. */
export function clientFor(config: ClientConfig, more: Pick<ClientOptions, 'webSocket'> = {}): Execplane {
  const { url, apiKey, attempts } = config;
  return new Execplane({
    url,
    apiKey,
    fetch: fetchFor(config),
    newKey: kernelKey,
    ...(attempts === undefined ? {} : { attempts }),
    ...more,
  });
}
