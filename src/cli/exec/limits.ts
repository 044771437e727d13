/** `--memory`, `--cpus` and `--pids`: the limits of a command, for all of its processes together. */
import { type Command, InvalidArgumentError } from 'commander';
import { parseSize } from '../../api/quantity.ts';
import type { StartOptions } from '../../client/main.ts';
import { parseCount } from '../terminal/list.ts';

export interface LimitFlags {
  memory?: number;
  cpus?: number;
  pids?: number;
}

export function addLimitOptions(command: Command): Command {
  return command
    .option(
      '--memory <SIZE>',
      'limit its memory, such as 512m or 2g; the kernel kills a command that needs more',
      sizeOption,
    )
    .option('--cpus <N>', 'limit its processor time to this number of processors, such as 0.5', processorsOption)
    .option('--pids <N>', 'limit the number of its processes and threads', parseCount);
}

/** Returns the requested limits. Undefined without any of the flags. */
export function limitsOf({ memory, cpus, pids }: LimitFlags): StartOptions['limits'] {
  if (memory === undefined && cpus === undefined && pids === undefined) return undefined;
  return {
    ...(memory === undefined ? {} : { memory_bytes: memory }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(pids === undefined ? {} : { pids }),
  };
}

/** Returns bytes. Throws InvalidArgumentError, which commander prints. */
function sizeOption(text: string): number {
  const bytes = /\s/.test(text) ? undefined : parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError('Write it as a number of bytes, or with a unit: 512m, 1.5g.');
  return bytes;
}

function processorsOption(text: string): number {
  const cpus = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (cpus <= 0) throw new InvalidArgumentError('It must be a number above 0, such as 0.5 or 4.');
  return cpus;
}
