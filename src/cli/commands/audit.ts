import type { Command } from 'commander';
import { apiOf, clientCommand } from '../client-command.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { shellWords } from '../terminal/print.ts';

interface AuditEntry {
  audit_id: string;
  at: string;
  actor: string;
  source: string;
  action: string;
  machine_id?: string;
  resource?: string;
  command?: string[];
  outcome: string;
}

/** `execplane audit`. */
export function auditCommand(): Command {
  const examples = '  execplane audit --limit 20\n  execplane audit --all --json';
  return addListOptions(clientCommand('audit', 'Who did what, newest first.', examples)).action(
    async (flags: ListOptions) => {
      await printList<AuditEntry>(apiOf(flags), '/v1/audit', flags, {
        none: 'Nothing yet.',
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
