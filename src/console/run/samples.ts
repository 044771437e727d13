/** The same request for a terminal and for programs. Values of the environment are left for the reader to fill in. */
import type { CreateExecution } from '../../api/execution.ts';
import { quoted, shellText } from '../parts/command.ts';

export interface Sample {
  name: string;
  text: string;
}

interface Request {
  machineId: string;
  body: CreateExecution;
  /** URL of the server. */
  url: string;
}

export function samplesOf(request: Request): Sample[] {
  return [
    { name: 'curl', text: curl(request) },
    { name: 'CLI', text: commandLine(request) },
    { name: 'TypeScript', text: typeScript(request) },
  ];
}

function curl({ machineId, body, url }: Request): string {
  return [
    `curl -X POST ${quoted(`${url}/v1/machines/${machineId}/executions?wait_ms=55000`)} \\`,
    `  -H "Authorization: Bearer $EXECPLANE_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(JSON.stringify(hidden(body)))}`,
  ].join('\n');
}

function commandLine({ machineId, body }: Request): string {
  const options = [
    ...(body.cwd === undefined ? [] : ['--cwd', body.cwd]),
    ...Object.keys(body.env ?? {}).flatMap((name) => ['--env', `${name}=…`]),
    ...(body.timeout_ms === undefined ? [] : ['--timeout', `${body.timeout_ms / 1000}s`]),
    ...(body.user === undefined ? [] : ['--user', body.user]),
  ];
  const line = `execplane exec ${shellText([machineId, ...options])} -- ${shellText(body.command)}`;
  return body.stdin === undefined ? line : `printf %s ${quoted(body.stdin)} | ${line}`;
}

function typeScript({ machineId, body, url }: Request): string {
  const options = {
    ...(body.cwd === undefined ? {} : { cwd: body.cwd }),
    ...(body.env === undefined ? {} : { env: hidden(body).env }),
    ...(body.timeout_ms === undefined ? {} : { timeoutMs: body.timeout_ms }),
    ...(body.user === undefined ? {} : { user: body.user }),
    ...(body.stdin === undefined ? {} : { stdin: body.stdin }),
  };
  const more = Object.keys(options).length === 0 ? '' : `, ${JSON.stringify(options)}`;
  return [
    `import { Execplane } from 'execplane/client';`,
    '',
    `const execplane = new Execplane({ url: ${JSON.stringify(url)}, apiKey: process.env.EXECPLANE_API_KEY });`,
    `const result = await execplane.machine(${JSON.stringify(machineId)}).run(${JSON.stringify(body.command)}${more});`,
    'console.log(result.stdout);',
  ].join('\n');
}

/** Samples are pasted into chats and tickets, so they contain no values of variables. */
function hidden(body: CreateExecution): CreateExecution {
  if (body.env === undefined) return body;
  return { ...body, env: Object.fromEntries(Object.keys(body.env).map((name) => [name, '…'])) };
}
