import { type Command, InvalidArgumentError } from 'commander';

/** A setting of server or agent, as described in their tables. */
export interface SettingOption {
  property: string;
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

/** Gives `command` a flag for every setting. A setting in several tables is added once. */
export function addSettingOptions(command: Command, ...tables: (readonly SettingOption[])[]): Command {
  const names = new Set<string>();
  for (const { flag, variable, description, default: fallback } of tables.flat()) {
    if (names.has(flag)) continue;
    names.add(flag);
    const shown = fallback === undefined ? variable : `${variable}, default ${fallback}`;
    command.option(`${flag} <value>`, `${description} (${shown})`, refuseFlag);
  }
  return command;
}

/** Refuses a value that is a flag: the flag before it has no value. */
function refuseFlag(value: string): string {
  if (value.startsWith('--')) throw new InvalidArgumentError('Its value is missing.');
  return value;
}
