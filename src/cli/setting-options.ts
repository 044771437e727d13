import { type Command, InvalidArgumentError } from 'commander';

/** A setting of server or agent, as their tables describe it. */
export interface SettingOption {
  property: string;
  variable: string;
  flag: string;
  default: string | undefined;
  description: string;
}

/** Gives `command` a flag for every setting; what several tables share is added once. */
export function addSettingOptions(command: Command, ...tables: (readonly SettingOption[])[]): Command {
  const seen = new Set<string>();
  for (const { flag, variable, description, default: fallback } of tables.flat()) {
    if (seen.has(flag)) continue;
    seen.add(flag);
    const shown = fallback === undefined ? variable : `${variable}, default ${fallback}`;
    command.option(`${flag} <value>`, `${description} (${shown})`, refuseFlag);
  }
  return command;
}

/** A flag whose value was forgotten would take the next flag for it. */
function refuseFlag(value: string): string {
  if (value.startsWith('--')) throw new InvalidArgumentError('Its value is missing.');
  return value;
}
