import { type Command, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { apiOf, clientCommand, groupCommand } from '../client-command.ts';
import { parseDuration } from '../terminal/duration.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printJson } from '../terminal/print.ts';
import type { ApiKey } from '../http/wire.ts';

interface CreateFlags {
  scope: string[];
  machine?: string[];
  expiresIn?: number;
  json?: true;
}

/** `execplane keys …`. */
export function keysCommand(): Command {
  return groupCommand('keys', 'API keys: who may do what, and on which machines.', [create(), list(), revoke()]);
}

function create(): Command {
  return clientCommand(
    'create <NAME>',
    'Make an API key and print it; it is shown this once.',
    '  execplane keys create ci --machine dm-build-1 --expires-in 90d\n  execplane keys create dashboard --scope executions:read --scope machines:read',
  )
    .addOption(
      new Option('--scope <SCOPE...>', 'what it allows')
        .choices(['executions:read', 'executions:write', 'machines:read', 'admin'])
        .default(['executions:write', 'machines:read']),
    )
    .option('--machine <MACHINE...>', 'the only machines it may touch')
    .option('--expires-in <DURATION>', 'valid for so long, as 30d', parseDuration)
    .option('--json', 'print the key with all of its fields as JSON')
    .action(async (name: string, flags: CreateFlags) => {
      const body = { name, scopes: flags.scope, machine_ids: flags.machine, expires_in_ms: flags.expiresIn };
      const made = await apiOf(flags).json<ApiKey>('POST', '/v1/api-keys', { body });
      if (made.key === undefined) {
        throw new CliError(`the key was made, but lost on its way here.`, {
          hint: `Take it back with "execplane keys revoke ${made.api_key_id}" and make another.`,
        });
      }
      if (flags.json) printJson(made);
      else {
        process.stderr.write(`${made.api_key_id} (${made.scopes.join(', ')}); it is shown this once:\n`);
        process.stdout.write(`${made.key}\n`);
      }
    });
}

function list(): Command {
  return addListOptions(clientCommand('ls', 'List API keys.', '  execplane keys ls')).action(
    async (flags: ListOptions) => {
      await printList<ApiKey>(apiOf(flags), '/v1/api-keys', flags, {
        none: 'No API keys besides the admin key.',
        columns: [
          { title: 'KEY', value: (key) => key.api_key_id },
          { title: 'NAME', value: ({ name }) => name },
          { title: 'SCOPES', value: ({ scopes }) => scopes.join(',') },
          { title: 'MACHINES', value: (key) => key.machine_ids?.join(',') ?? 'all' },
          { title: 'CREATED', value: (key) => key.created_at },
          { title: 'EXPIRES', value: (key) => key.expires_at },
          { title: 'LAST USED', value: (key) => key.last_used_at },
        ],
      });
    },
  );
}

function revoke(): Command {
  return clientCommand('revoke <KEY>', 'Revoke an API key, at once.', '  execplane keys revoke key-3f2Kd81x')
    .option('--json', 'print the revoked key as JSON')
    .action(async (key: string, flags: { json?: true }) => {
      const revoked = await apiOf(flags).json<ApiKey>('DELETE', `/v1/api-keys/${encodeURIComponent(key)}`);
      if (flags.json) printJson(revoked);
      else process.stdout.write(`${revoked.api_key_id} (${revoked.name}) is revoked.\n`);
    });
}
