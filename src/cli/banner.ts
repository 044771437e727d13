import { basename, relative } from 'node:path';
import { shellWords } from './print.ts';

/** What `up` prints once everything runs. `keyFile`: absent where EXECPLANE_API_KEY holds the key. */
export function banner({ url, machineId, keyFile }: { url: string; machineId: string; keyFile?: string }): string {
  const key = keyFile === undefined ? '$EXECPLANE_API_KEY' : `$(cat ${shellWords([keyFile])})`;
  const curl = [
    `curl -sS -w '\\n' "${url.replace(/\/$/, '')}/v1/machines/${machineId}/executions?wait_ms=10000"`,
    `-H "Authorization: Bearer ${key}"`,
    `-H 'Content-Type: application/json'`,
    `-d '{"command":["uname","-a"]}'`,
  ].join(' ');
  return `
Execplane is running. Ctrl-C ends it.

  URL      ${url}
  API key  ${keyFile ?? 'in EXECPLANE_API_KEY'}
  Machine  ${machineId}

Run a command on this machine:

  ${curl}

and see what it prints:

  ${ownCommand()} exec ${machineId} -- uname -a

`;
}

/** This command as it can be called from here. */
function ownCommand(): string {
  const script = process.argv[1] ?? 'execplane';
  return basename(script).startsWith('main.') ? `node ${shellWords([relative('.', script)])}` : basename(script);
}
