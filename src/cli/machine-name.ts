/** The command line takes the name of a machine wherever it takes its id. */
import type { Command } from 'commander';
import type { Execplane } from '../client/main.ts';
import { CliError } from './cli-error.ts';

/** The id behind what a person wrote: an id itself, or the name of a machine, which the server is asked for. Throws CliError. */
export async function machineIdOf(client: Pick<Execplane, 'machines'>, text: string): Promise<string> {
  if (text.startsWith('dm-')) return text;
  const machine = await client.machines.find(text);
  if (machine !== undefined) return machine.machine_id;
  throw new CliError(`there is no machine with the name ${JSON.stringify(text)}.`, {
    hint: '"execplane machines ls" shows names and ids.',
  });
}

/** Puts the id in the place of a name, if the command has an operand MACHINE. With --label it is not one: no machine is named. */
export async function resolveOperand(command: Command, clientOf: (flags: unknown) => Execplane): Promise<void> {
  const place = command.registeredArguments.findIndex((argument) => argument.required && argument.name() === 'MACHINE');
  const given: unknown = command.processedArgs[place];
  const flags = command.opts();
  if (typeof given !== 'string' || 'label' in flags) return;
  if (!given.startsWith('dm-')) command.processedArgs[place] = await machineIdOf(clientOf(flags), given);
}
