import type { Command } from 'commander';
import type { Batch, Execution } from '../../../client/main.ts';
import { CliError } from '../../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../../client-command.ts';
import { print } from '../../streams/output.ts';
import { age } from '../../terminal/age.ts';
import { countsText } from '../../terminal/batch-words.ts';
import { resultWord, statusWord } from '../../terminal/execution-words.ts';
import { addListOptions, type ListOptions, printList } from '../../terminal/list.ts';
import { printFields, printJson, printTable } from '../../terminal/print.ts';

/** `execplane batches …`. */
export function batchesCommand(): Command {
  return groupCommand('batches', 'Batches: each runs one command on many machines. "exec --label" starts one.', [
    list(),
    show(),
    cancel(),
  ]);
}

function list(): Command {
  return addListOptions(
    clientCommand('ls', 'List batches, newest first.', '  execplane batches ls\n  execplane batches ls --json'),
  ).action(async (flags: ListOptions) => {
    const { batches } = clientOf(flags);
    await printList<Batch>((page) => batches.list(page), flags, {
      none: 'No batches.',
      columns: [
        { title: 'BATCH', value: (batch) => batch.batch_id },
        { title: 'STATUS', value: ({ status }) => status },
        { title: 'CREATED', value: (batch) => age(batch.created_at) },
        { title: 'MACHINES', value: ({ counts }) => countsText(counts) },
      ],
    });
  });
}

function show(): Command {
  return clientCommand('show <BATCH>', 'Show a batch and its executions.', '  execplane batches show ID')
    .option('--json', 'print the batch as JSON')
    .action(async (id: string, flags: { json?: true }) => {
      const { batches } = clientOf(flags);
      const batch = await batches.get(id);
      if (flags.json) {
        printJson(batch);
        return;
      }
      printFields({ ...batch, counts: countsText(batch.counts) });
      print('\n');
      const executions: Execution[] = [];
      for await (const execution of batches.executions(id, { limit: 500 })) executions.push(execution);
      const columns = [
        { title: 'MACHINE', value: (execution: Execution) => execution.machine_id },
        { title: 'STATUS', value: statusWord },
        { title: 'RESULT', value: resultWord },
        { title: 'EXECUTION', value: (execution: Execution) => execution.execution_id },
      ];
      printTable(executions, columns, 'The batch has no executions.');
    });
}

function cancel(): Command {
  return clientCommand(
    'cancel <BATCH>',
    'Cancel a batch: start no more executions, and cancel those that run. Returns when all have ended, or after 55 s.',
    '  execplane batches cancel ID',
  )
    .option('--json', 'print the batch as JSON')
    .action(async (id: string, flags: { json?: true }) => {
      const batch = await clientOf(flags).batches.cancel(id, { waitMs: 55_000 });
      if (flags.json) printJson(batch);
      else if (batch.status !== 'running') print(`${id}: ${batch.status} (${countsText(batch.counts)})\n`);
      else
        throw new CliError(`${id} is still running after 55 s: a machine may be offline.`, {
          hint: 'The cancel takes effect when the machine is back. "execplane machines ls" lists the machines.',
        });
    });
}
