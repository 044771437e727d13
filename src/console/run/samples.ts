/** Samples of a request for the command line and for programs. Values of environment variables are left out. */
import type { CreateExecution } from '../../api/execution.ts';
import type { CreateBatch } from '../../api/batch.ts';
import { quoted, shellText } from '../data/command.ts';
import { labelTexts } from '../parts/labels.tsx';
import { batchOf, type RunForm } from './request.ts';

export interface Sample {
  name: string;
  text: string;
}

/** One machine, or those with labels, and the limits of the batch. */
export type SampleTarget = { machineId: string } | Pick<CreateBatch, 'selector' | 'max_concurrency' | 'max_failures'>;

interface Request {
  target: SampleTarget;
  body: CreateExecution;
  /** URL of the server. */
  url: string;
}

/** The target of the command of a form. */
export function targetOf(form: RunForm): SampleTarget {
  if (form.on === 'machine') return { machineId: form.machineId || 'dm-…' };
  const { selector, max_concurrency: concurrency, max_failures: failures } = batchOf(form);
  return {
    selector,
    ...(concurrency === undefined ? {} : { max_concurrency: concurrency }),
    ...(failures === undefined ? {} : { max_failures: failures }),
  };
}

/** Returns the request as a curl call, an `execplane exec` line and a program. */
export function samplesOf(request: Request): Sample[] {
  return [
    { name: 'curl', text: curl(request) },
    { name: 'CLI', text: commandLine(request) },
    { name: 'TypeScript', text: typeScript(request) },
  ];
}

function curl({ target, body, url }: Request): string {
  const isOne = 'machineId' in target;
  const path = isOne ? `/v1/machines/${target.machineId}/executions` : '/v1/batches';
  return [
    `curl -X POST ${quoted(`${url}${path}?wait_ms=55000`)} \\`,
    `  -H "Authorization: Bearer $EXECPLANE_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(JSON.stringify(isOne ? hidden(body) : { ...target, ...hidden(body) }))}`,
  ].join('\n');
}

function commandLine({ target, body }: Request): string {
  const options = [
    ...targetOptions(target),
    ...(body.cwd === undefined ? [] : ['--cwd', body.cwd]),
    ...Object.keys(body.env ?? {}).flatMap((name) => ['--env', `${name}=…`]),
    ...(body.timeout_ms === undefined ? [] : ['--timeout', `${body.timeout_ms / 1000}s`]),
    ...(body.user === undefined ? [] : ['--user', body.user]),
    ...limitOptions(body.limits),
  ];
  const line = `execplane exec ${shellText(options)} -- ${shellText(body.command)}`;
  return body.stdin === undefined ? line : `printf %s ${quoted(body.stdin)} | ${line}`;
}

function targetOptions(target: SampleTarget): string[] {
  if ('machineId' in target) return [target.machineId];
  const { selector, max_concurrency: concurrency, max_failures: failures } = target;
  return [
    ...labelTexts(selector.labels).flatMap((label) => ['--label', label]),
    ...(concurrency === undefined ? [] : ['--concurrency', String(concurrency)]),
    ...(failures === undefined ? [] : ['--max-failures', String(failures)]),
  ];
}

function limitOptions(limits: CreateExecution['limits'] = {}): string[] {
  const { memory_bytes: memory, cpus, pids } = limits;
  return [
    ...(memory === undefined ? [] : ['--memory', String(memory)]),
    ...(cpus === undefined ? [] : ['--cpus', String(cpus)]),
    ...(pids === undefined ? [] : ['--pids', String(pids)]),
  ];
}

function typeScript({ target, body, url }: Request): string {
  const connect = [
    `import { Execplane } from 'execplane/client';`,
    '',
    `const execplane = new Execplane({ url: ${JSON.stringify(url)}, apiKey: process.env.EXECPLANE_API_KEY });`,
  ];
  if (!('machineId' in target)) {
    return [
      ...connect,
      `const batch = await execplane.batches.create(${JSON.stringify({ ...target, ...hidden(body) })});`,
      'const ended = await execplane.batches.get(batch.batch_id, { waitMs: 55_000 });',
      'console.log(ended.status, ended.counts);',
    ].join('\n');
  }
  const options = {
    ...(body.cwd === undefined ? {} : { cwd: body.cwd }),
    ...(body.env === undefined ? {} : { env: hidden(body).env }),
    ...(body.timeout_ms === undefined ? {} : { timeoutMs: body.timeout_ms }),
    ...(body.user === undefined ? {} : { user: body.user }),
    ...(body.limits === undefined ? {} : { limits: body.limits }),
    ...(body.stdin === undefined ? {} : { stdin: body.stdin }),
  };
  const more = Object.keys(options).length === 0 ? '' : `, ${JSON.stringify(options)}`;
  return [
    ...connect,
    `const result = await execplane.machine(${JSON.stringify(target.machineId)}).run(${JSON.stringify(body.command)}${more});`,
    'console.log(result.stdout);',
  ].join('\n');
}

/** Samples are pasted into chats and tickets, so they contain no values of variables. */
function hidden(body: CreateExecution): CreateExecution {
  if (body.env === undefined) return body;
  return { ...body, env: Object.fromEntries(Object.keys(body.env).map((name) => [name, '…'])) };
}
