import type { Command } from 'commander';

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
    command.option(`${flag} <value>`, `${description} (${shown})`);
  }
  return command;
}
