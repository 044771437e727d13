/** Resolves names of machines: each operand that accepts an id also accepts a name. */
import type { Command } from 'commander';
import type { Execplane } from '../client/main.ts';
import { CliError } from './cli-error.ts';

/** Returns the id for an operand: an id itself, or the name of a machine, which the server resolves. Throws CliError. */
export async function machineIdOf(client: Pick<Execplane, 'machines'>, text: string): Promise<string> {
  if (text.startsWith('dm-')) return text;
  const machine = await client.machines.find(text);
  if (machine !== undefined) return machine.machine_id;
  throw new CliError(`there is no machine with the name ${JSON.stringify(text)}.`, {
    hint: '"execplane machines ls" shows names and ids.',
  });
}

/** Replaces a name by its id, if the command has an operand MACHINE. With --label it has none. */
export async function resolveOperand(command: Command, clientOf: (flags: unknown) => Execplane): Promise<void> {
  const place = command.registeredArguments.findIndex((argument) => argument.required && argument.name() === 'MACHINE');
  const value: unknown = command.processedArgs[place];
  const flags = command.opts();
  if (typeof value !== 'string' || 'label' in flags) return;
  if (!value.startsWith('dm-')) command.processedArgs[place] = await machineIdOf(clientOf(flags), value);
}
