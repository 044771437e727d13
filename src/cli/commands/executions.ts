import { type Command, Option } from 'commander';
import {
  type Execution,
  type ExecutionEvent,
  EXECUTION_STATUSES,
  type ExecutionHandle,
  type ExecutionStatus,
  hasEnded,
} from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../client-command.ts';
import { assertAllKept } from '../exec/kept-output.ts';
import { print, printError } from '../streams/output.ts';
import { OutputPrinter } from '../streams/output-printer.ts';
import { age } from '../terminal/age.ts';
import { resultWord, statusWord, usageWords, reasonFields } from '../terminal/execution-words.ts';
import { addListOptions, type ListOptions, parseCount, printList } from '../terminal/list.ts';
import { printFields, printJson, shellWords } from '../terminal/print.ts';
import { outageOn, StatusLine } from '../terminal/status-line.ts';

/** `execplane executions …`. */
export function executionsCommand(): Command {
  const commands = [list(), show(), logs(), output(), cancel()];
  return groupCommand('executions', 'Executions and their output.', commands);
}

function list(): Command {
  return addListOptions(
    clientCommand(
      'ls <MACHINE>',
      'List the executions of a machine, newest first.',
      '  execplane executions ls dm-web-1 --status running',
    ),
  )
    .addOption(new Option('--status <STATUS>', 'only executions with this status').choices(EXECUTION_STATUSES))
    .action(async (machineId: string, flags: ListOptions & { status?: ExecutionStatus }) => {
      const machine = clientOf(flags).machine(machineId);
      const filter = flags.status === undefined ? {} : { status: flags.status };
      await printList<Execution>((page) => machine.executions({ ...page, ...filter }), flags, {
        none: 'No executions.',
        columns: [
          { title: 'EXECUTION', value: (execution) => execution.execution_id },
          { title: 'STATUS', value: statusWord },
          { title: 'RESULT', value: resultWord },
          { title: 'CREATED', value: (execution) => age(execution.created_at) },
          { title: 'COMMAND', value: ({ command }) => shellWords(command) },
        ],
      });
    });
}

function show(): Command {
  return clientCommand('show <MACHINE> <EXECUTION>', 'Show an execution.', '  execplane executions show dm-web-1 ID')
    .option('--json', 'print the execution as JSON')
    .action(async (machineId: string, id: string, flags: { json?: true }) => {
      const execution = await handleOf(flags, machineId, id).get({ include: ['usage', 'reason'] });
      if (flags.json) printJson(execution);
      else {
        const words = { status: statusWord(execution), command: shellWords(execution.command) };
        const { reason, ...fields } = execution;
        printFields({ ...fields, ...words, usage: usageWords(execution), ...reasonFields(reason) });
      }
    });
}

function logs(): Command {
  return clientCommand(
    'logs <MACHINE> <EXECUTION>',
    'Print the output of an execution, stdout to stdout and stderr to stderr, in the order in which it came.',
    '  execplane executions logs -f dm-web-1 ID',
  )
    .option('-f, --follow', 'follow the output until the execution ends')
    .option('--json', 'print every event as a line of JSON, with base64 chunks')
    .action(async (machineId: string, id: string, flags: { follow?: true; json?: true }) => {
      const handle = handleOf(flags, machineId, id);
      const printer = new OutputPrinter();
      for await (const event of flags.follow ? handle.events({ outage: outageOn(new StatusLine()) }) : handle.log()) {
        if (flags.json) await printer.write('stdout', Buffer.from(`${JSON.stringify(asInApi(event))}\n`));
        else if (event.type !== 'lifecycle') await printer.write(event.type, event.chunk ?? new Uint8Array());
        else if (hasEnded(event) && event.error_code !== undefined) {
          printError(`execplane: ${event.error_message ?? event.error_code}\n`);
        }
      }
      if (!flags.json) assertAllKept(await handle.get());
    });
}

/** Returns the event with its chunk in the API's form. */
function asInApi({ chunk, ...event }: ExecutionEvent): object {
  return chunk === undefined ? event : { ...event, chunk: Buffer.from(chunk).toString('base64') };
}

function output(): Command {
  return clientCommand(
    'output <MACHINE> <EXECUTION>',
    'Print the output byte for byte: first stdout to stdout, then stderr to stderr. Of a running execution, the output so far.',
    '  execplane executions output dm-web-1 ID > out.bin\n  execplane executions output --tail 1000 dm-web-1 ID',
  )
    .option('--tail <BYTES>', 'only the last BYTES of each stream', parseCount)
    .option('--json', 'print both streams and their sizes as JSON, once the execution has ended')
    .action(async (machineId: string, id: string, flags: { tail?: number; json?: true }) => {
      const handle = handleOf(flags, machineId, id);
      const part = flags.tail === undefined ? {} : { tail: flags.tail };
      if (flags.json) {
        printJson(await handle.output(part));
        return;
      }
      const printer = new OutputPrinter();
      for (const stream of ['stdout', 'stderr'] as const) {
        for await (const bytes of handle.kept(stream, part)) await printer.write(stream, bytes);
      }
      if (flags.tail === undefined) assertAllKept(await handle.get());
    });
}

function cancel(): Command {
  return clientCommand(
    'cancel <MACHINE> <EXECUTION>',
    'Cancel an execution: SIGTERM, then SIGKILL to all of its processes after a grace period. Returns when it has ended, or after 55 s.',
    '  execplane executions cancel dm-web-1 ID',
  )
    .option('--json', 'print the execution as JSON')
    .action(async (machineId: string, id: string, flags: { json?: true }) => {
      const execution = await handleOf(flags, machineId, id).cancel({ waitMs: 55_000 });
      if (flags.json) printJson(execution);
      else if (hasEnded(execution))
        print(`${id}: ${[execution.status, resultWord(execution)].filter(Boolean).join(', ')}\n`);
      else
        throw new CliError(`${id} is still ${statusWord(execution)} after 55 s: its machine may be offline.`, {
          hint: 'The cancel takes effect when the machine is back. "execplane machines ls" lists the machines.',
        });
    });
}

function handleOf(flags: unknown, machineId: string, id: string): ExecutionHandle {
  return clientOf(flags).machine(machineId).execution(id);
}
