import { type Command, Option } from 'commander';
import type { ApiKey } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../client-command.ts';
import { machineIdOf } from '../machine-name.ts';
import { assertOpen, print, printError } from '../streams/output.ts';
import { age, until } from '../terminal/age.ts';
import { durationOption } from '../terminal/duration.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printJson } from '../terminal/print.ts';

interface CreateFlags {
  scope: ApiKey['scopes'];
  machine?: string[];
  expiresIn?: number;
  json?: true;
}

/** `execplane keys …`. */
export function keysCommand(): Command {
  return groupCommand('keys', 'API keys, their scopes and their machines.', [create(), list(), revoke()]);
}

function create(): Command {
  return clientCommand(
    'create <NAME>',
    'Make an API key and print it. The key is not shown again.',
    '  execplane keys create ci --machine dm-build-1 --expires-in 90d\n  execplane keys create dashboard --scope executions:read --scope machines:read',
  )
    .addOption(
      new Option('--scope <SCOPE...>', 'scope of the key; repeatable')
        .choices(['executions:read', 'executions:write', 'machines:read', 'machines:write', 'admin'])
        .default(['executions:write', 'machines:read']),
    )
    .option('--machine <MACHINE...>', 'limit the key to these machines')
    .option('--expires-in <DURATION>', 'time until the key expires, such as 30d (default: never)', durationOption)
    .option('--json', 'print the key and its fields as JSON')
    .action(async (name: string, flags: CreateFlags) => {
      assertOpen('stdout'); // It is shown only once.
      const client = clientOf(flags);
      const ids = flags.machine?.map((machine) => machineIdOf(client, machine));
      const made = await client.keys.create({
        name,
        scopes: flags.scope,
        ...(ids === undefined ? {} : { machine_ids: await Promise.all(ids) }),
        ...(flags.expiresIn === undefined ? {} : { expires_in_ms: flags.expiresIn }),
      });
      if (made.key === undefined) {
        throw new CliError(`the key was made, but the response was lost.`, {
          hint: `Revoke it with "execplane keys revoke ${made.api_key_id}" and make another.`,
        });
      }
      if (flags.json) printJson(made);
      else {
        printError(`${made.api_key_id} (${made.scopes.join(', ')}); shown only once:\n`);
        print(`${made.key}\n`);
      }
    });
}

function list(): Command {
  return addListOptions(clientCommand('ls', 'List API keys.', '  execplane keys ls')).action(
    async (flags: ListOptions) => {
      await printList((page) => clientOf(flags).keys.list(page), flags, {
        none: 'No API keys besides the admin key.',
        columns: [
          { title: 'KEY', value: (key) => key.api_key_id },
          { title: 'NAME', value: ({ name }) => name },
          { title: 'SCOPES', value: ({ scopes }) => scopes.join(',') },
          { title: 'MACHINES', value: (key) => key.machine_ids?.join(',') ?? 'all' },
          { title: 'CREATED', value: (key) => age(key.created_at) },
          { title: 'EXPIRES', value: (key) => until(key.expires_at) },
          { title: 'LAST USED', value: (key) => age(key.last_used_at) },
        ],
      });
    },
  );
}

function revoke(): Command {
  return clientCommand('revoke <KEY>', 'Revoke an API key at once.', '  execplane keys revoke key-3f2Kd81x')
    .option('--json', 'print the revoked key as JSON')
    .action(async (key: string, flags: { json?: true }) => {
      const revoked = await clientOf(flags).keys.revoke(key);
      if (flags.json) printJson(revoked);
      else print(`${revoked.api_key_id} (${revoked.name}) is revoked.\n`);
    });
}
