import { type Command, Option } from 'commander';
import { apiOf, clientCommand, groupCommand } from '../client-command.ts';
import { followEvents } from '../exec/follow-events.ts';
import { addListOptions, type ListOptions, parseCount, printList } from '../terminal/list.ts';
import { writeOutput } from '../terminal/output.ts';
import { printFields, printJson, shellWords } from '../terminal/print.ts';
import { outageOn, StatusLine } from '../terminal/status-line.ts';
import { type Execution, type ExecutionEvent, executionPath, isEnd, type Page } from '../http/wire.ts';

const STATUSES = ['wake_in_progress', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired'];

/** `execplane executions …`. */
export function executionsCommand(): Command {
  const commands = [list(), show(), logs(), output(), cancel()];
  return groupCommand('executions', 'What ran, what runs, and what it printed.', commands);
}

function list(): Command {
  return addListOptions(
    clientCommand(
      'ls <MACHINE>',
      'List the executions of a machine, newest first.',
      '  execplane executions ls dm-web-1 --status running',
    ),
  )
    .addOption(new Option('--status <STATUS>', 'only those').choices(STATUSES))
    .action(async (machine: string, flags: ListOptions & { status?: string }) => {
      await printList<Execution>(apiOf(flags), executionPath(machine), flags, {
        query: { status: flags.status },
        none: 'No executions.',
        columns: [
          { title: 'EXECUTION', value: (execution) => execution.execution_id },
          { title: 'STATUS', value: ({ status }) => status },
          { title: 'RESULT', value: result },
          { title: 'CREATED', value: (execution) => execution.created_at },
          { title: 'COMMAND', value: ({ command }) => shellWords(command) },
        ],
      });
    });
}

function show(): Command {
  return clientCommand('show <MACHINE> <EXECUTION>', 'Show an execution.', '  execplane executions show dm-web-1 ID')
    .option('--json', 'print the execution as JSON')
    .action(async (machine: string, id: string, flags: { json?: true }) => {
      const execution = await apiOf(flags).json<Execution>('GET', executionPath(machine, id));
      if (flags.json) printJson(execution);
      else printFields({ ...execution, command: shellWords(execution.command) });
    });
}

function logs(): Command {
  return clientCommand(
    'logs <MACHINE> <EXECUTION>',
    'Print what it wrote to stdout and stderr, to the same streams and in the order in which it came.',
    '  execplane executions logs -f dm-web-1 ID',
  )
    .option('-f, --follow', 'go on until it ends')
    .option('--json', 'print every event as a line of JSON, with base64 chunks')
    .action(async (machine: string, id: string, flags: { follow?: true; json?: true }) => {
      const api = apiOf(flags);
      const events = flags.follow
        ? followEvents(api, machine, id, outageOn(new StatusLine()))
        : eventsSoFar(machine, id, flags);
      for await (const event of events) {
        if (flags.json) await writeOutput('stdout', Buffer.from(`${JSON.stringify(event)}\n`));
        else if (event.type !== 'lifecycle') await writeOutput(event.type, Buffer.from(event.chunk ?? '', 'base64'));
        else if (isEnd(event.status) && event.error_code !== undefined) {
          process.stderr.write(`execplane: ${event.error_message ?? event.error_code}\n`);
        }
      }
    });
}

/** The pages of the log there are now; the last one of a log that goes on is empty. */
async function* eventsSoFar(machine: string, id: string, flags: unknown): AsyncGenerator<ExecutionEvent> {
  const api = apiOf(flags);
  let cursor: string | undefined;
  for (;;) {
    const query = { encoding: 'base64', limit: 1000, cursor };
    const page = await api.json<Page<ExecutionEvent>>('GET', `${executionPath(machine, id)}/events`, { query });
    yield* page.items;
    cursor = page.next_cursor;
    if (cursor === undefined || page.items.length === 0) return;
  }
}

function output(): Command {
  return clientCommand(
    'output <MACHINE> <EXECUTION>',
    'Print the bytes it wrote: stdout to stdout, then stderr to stderr; so far, where it still runs.',
    '  execplane executions output dm-web-1 ID > out.bin\n  execplane executions output --tail 1000 dm-web-1 ID',
  )
    .option('--tail <BYTES>', 'only the last bytes of each', parseCount)
    .option('--json', 'print both, with their sizes, as JSON; only after the end')
    .action(async (machine: string, id: string, flags: { tail?: number; json?: true }) => {
      const api = apiOf(flags);
      const path = `${executionPath(machine, id)}/output`;
      const query = { tail: flags.tail };
      if (flags.json) {
        printJson(await api.json('GET', path, { query }));
        return;
      }
      for (const stream of ['stdout', 'stderr'] as const) {
        const response = await api.open('GET', `${path}/${stream}`, { query, headers: { accept: '*/*' } });
        for await (const chunk of response as AsyncIterable<Buffer>) await writeOutput(stream, chunk);
      }
    });
}

function cancel(): Command {
  return clientCommand(
    'cancel <MACHINE> <EXECUTION>',
    'Cancel it: SIGTERM, and after a grace SIGKILL to all of it. Returns when it is over, or after 55 s.',
    '  execplane executions cancel dm-web-1 ID',
  )
    .option('--json', 'print the execution as JSON')
    .action(async (machine: string, id: string, flags: { json?: true }) => {
      const call = { query: { wait_ms: 55_000 } };
      const execution = await apiOf(flags).json<Execution>('DELETE', executionPath(machine, id), call);
      if (flags.json) printJson(execution);
      else process.stdout.write(`${id}: ${[execution.status, result(execution)].filter(Boolean).join(', ')}\n`);
    });
}

function result(execution: Execution): string {
  if (execution.exit_code !== undefined) return `exit ${execution.exit_code}`;
  if (execution.signal !== undefined) return `signal ${execution.signal}`;
  return execution.error_code ?? '';
}
