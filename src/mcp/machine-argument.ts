/** The machine that a model names in a call of a tool. */
import { z } from 'zod';
import type { Execplane, MachineClient } from '../client/main.ts';
import { ToolError } from './answers.ts';

export const MACHINE = z.string().describe('Id or name of the machine, such as dm-build-1; list_machines shows both.');

/** Returns the machine with this id or name. Throws ToolError if no machine has the name. */
export async function machineOf(client: Execplane, text: string): Promise<MachineClient> {
  if (text.startsWith('dm-')) return client.machine(text);
  const machine = await client.machines.find(text);
  if (machine !== undefined) return client.machine(machine.machine_id);
  throw new ToolError(`There is no machine with the name ${JSON.stringify(text)}: list_machines shows names and ids.`);
}
