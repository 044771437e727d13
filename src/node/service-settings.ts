/** Reads the settings that systemd passes to a packaged service: those in the unit and in the files that it names. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile } from './private-file.ts';

const UNIT_FOLDERS = ['etc/systemd/system', 'run/systemd/system', 'usr/lib/systemd/system', 'lib/systemd/system'];

type Settings = Record<string, string>;

/** Returns the settings of a unit; none if it is not installed. `root`: for tests. */
export function serviceSettings(unit: string, root = '/'): Settings {
  const file = UNIT_FOLDERS.map((folder) => join(root, folder, unit)).find((path) => read(path) !== undefined);
  if (file === undefined) return {};
  const dropIns = UNIT_FOLDERS.flatMap((folder) => filesIn(join(root, folder, `${unit}.d`)));
  const lines = [file, ...dropIns].flatMap((path) => (read(path) ?? '').split('\n'));
  const own: Settings = {};
  let fromFiles: Settings = {};
  for (const line of lines) {
    const [, key, value = ''] = /^(Environment|EnvironmentFile)=(.*)$/.exec(line.trim()) ?? [];
    if (key === 'Environment') Object.assign(own, assignments(value));
    // An empty entry discards the entries before it. A file overrides a setting of the unit.
    else if (key === 'EnvironmentFile' && value === '') fromFiles = {};
    else if (key === 'EnvironmentFile') Object.assign(fromFiles, settingsIn(join(root, value.replace(/^-/, ''))));
  }
  return { ...own, ...fromFiles };
}

/** Parses `A=1 "B=2 3"`, in the syntax of systemd.exec(5). */
function assignments(text: string): Settings {
  const words = text.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return Object.fromEntries(words.map((word) => assignment(word.replace(/^(["'])(.*)\1$/, '$2'))));
}

/** Parses lines of `NAME=VALUE`. The value may be in quotes; `#` and `;` begin a comment. */
function settingsIn(file: string): Settings {
  const lines = (read(file) ?? '').split('\n').map((line) => line.trim());
  return Object.fromEntries(lines.filter((line) => /^[A-Za-z_]\w*=/.test(line)).map(assignment));
}

function assignment(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1).replace(/^(["'])(.*)\1$/, '$2')];
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.conf'))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readRegularFile(path)?.bytes.toString();
  } catch {
    return undefined;
  }
}
