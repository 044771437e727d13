import { basename, dirname, relative } from 'node:path';
import { DEFAULT_URL } from '../config.ts';
import { shellWords } from './print.ts';

interface Running {
  url: string;
  machineId: string;
  keyFile?: string;
}

/** Returns the text that `up` prints once everything runs. `keyFile`: absent if EXECPLANE_API_KEY holds the key. */
export function banner({ url, machineId, keyFile }: Running): string {
  const key = keyFile === undefined ? '$EXECPLANE_API_KEY' : `$(cat ${shellWords([keyFile])})`;
  const curl = [
    `curl -sS -w '\\n' "${url.replace(/\/$/, '')}/v1/machines/${machineId}/executions?wait_ms=10000&include=output"`,
    `-H "Authorization: Bearer ${key}"`,
    `-H 'Content-Type: application/json'`,
    `-d '{"command":["uname","-a"]}'`,
  ].join(' ');
  return `
Execplane is running. Ctrl-C ends it.

  URL      ${url}
  API key  ${keyFile ?? 'in EXECPLANE_API_KEY'}
  Machine  ${machineId}

Open the URL in a browser and sign in with the key, or run a command on this machine:

  ${curl}

or with the command line:

  ${ownCommand()} exec ${machineId}${whereItIs({ url, keyFile })} -- uname -a

`;
}

/** Flags for the settings that `exec` does not find by itself. */
function whereItIs({ url, keyFile }: { url: string; keyFile: string | undefined }): string {
  const dataDir = keyFile === undefined ? 'data' : relative('.', dirname(keyFile));
  const options = [
    ...(url.replace(/\/$/, '') === DEFAULT_URL ? [] : ['--url', url]),
    ...(dataDir === 'data' ? [] : ['--data-dir', dataDir || '.']),
  ];
  return options.length === 0 ? '' : ` ${shellWords(options)}`;
}

/** Returns the command line for this program: in a clone with the clone's Node, because that in the PATH may be too old. */
function ownCommand(): string {
  const script = process.argv[1] ?? 'execplane';
  if (!basename(script).startsWith('main.')) return basename(script);
  const node = relative('.', process.execPath);
  return shellWords([node.startsWith('..') ? 'node' : node, relative('.', script)]);
}
