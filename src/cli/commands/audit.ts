import type { Command } from 'commander';
import { clientCommand, clientOf } from '../client-command.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { shellWords } from '../terminal/print.ts';

/** `execplane audit`. */
export function auditCommand(): Command {
  const examples = '  execplane audit --limit 20\n  execplane audit --all --json';
  return addListOptions(clientCommand('audit', 'List the entries of the audit trail, newest first.', examples)).action(
    async (flags: ListOptions) => {
      await printList((page) => clientOf(flags).audit.list(page), flags, {
        none: 'No entries.',
        columns: [
          { title: 'ENTRY', value: (entry) => entry.audit_id },
          { title: 'AT', value: (entry) => entry.at },
          { title: 'ACTOR', value: (entry) => entry.actor },
          { title: 'SOURCE', value: (entry) => entry.source },
          { title: 'ACTION', value: (entry) => entry.action },
          { title: 'OUTCOME', value: (entry) => entry.outcome },
          { title: 'MACHINE', value: (entry) => entry.machine_id },
          { title: 'RESOURCE', value: (entry) => entry.resource },
          { title: 'COMMAND', value: (entry) => (entry.command === undefined ? '' : shellWords(entry.command)) },
        ],
      });
    },
  );
}
