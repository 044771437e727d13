import type { Command } from 'commander';
import type { JoinToken } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../client-command.ts';
import { machineIdOf } from '../machine-name.ts';
import { assertOpen, print, printError } from '../streams/output.ts';
import { age, until } from '../terminal/age.ts';
import { durationOption } from '../terminal/duration.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printJson } from '../terminal/print.ts';

interface CreateFlags {
  machine?: string;
  reusable?: true;
  expiresIn?: number;
  json?: true;
}

/** `execplane tokens …`. */
export function tokensCommand(): Command {
  return groupCommand('tokens', 'Join tokens of agents.', [create(), list(), revoke()]);
}

function create(): Command {
  return clientCommand(
    'create',
    'Make a join token and print it. By default it works once, within an hour.',
    '  execplane tokens create | ssh web-1 execplane agent --join-token-file - --url https://execplane.example.com\n  execplane tokens create --reusable --expires-in 7d',
  )
    .option(
      '--machine <MACHINE>',
      'let the token enrol only this machine: a new one, or an existing one that then gets a new credential',
    )
    .option('--reusable', 'let the token work more than once')
    .option('--expires-in <DURATION>', 'time until the token expires, such as 7d (default: 1h)', durationOption)
    .option('--json', 'print the token and its fields as JSON')
    .action(async (flags: CreateFlags) => {
      assertOpen('stdout'); // It is shown only once.
      const client = clientOf(flags);
      const made = await client.joinTokens.create({
        ...(flags.machine === undefined ? {} : { machine_id: await machineIdOf(client, flags.machine) }),
        ...(flags.reusable === undefined ? {} : { reusable: flags.reusable }),
        ...(flags.expiresIn === undefined ? {} : { expires_in_ms: flags.expiresIn }),
      });
      if (made.token === undefined) throw tokenLost(made);
      if (flags.json) printJson(made);
      else {
        printError(`${made.join_token_id}, valid until ${made.expires_at}; shown only once:\n`);
        print(`${made.token}\n`);
      }
    });
}

/** Returns the error for a lost answer: a repeated request is answered without the token. */
export function tokenLost({ join_token_id: id }: JoinToken): CliError {
  return new CliError('the token was made, but the response was lost.', {
    hint: `Revoke it with "execplane tokens revoke ${id}" and make another.`,
  });
}

function list(): Command {
  return addListOptions(
    clientCommand('ls', 'List the join tokens that are still valid.', '  execplane tokens ls'),
  ).action(async (flags: ListOptions) => {
    await printList((page) => clientOf(flags).joinTokens.list(page), flags, {
      none: 'No valid join tokens.',
      columns: [
        { title: 'TOKEN', value: (token) => token.join_token_id },
        { title: 'MACHINE', value: (token) => token.machine_id ?? 'a new one' },
        { title: 'USES', value: ({ reusable }) => (reusable ? 'many' : 'once') },
        { title: 'CREATED', value: (token) => age(token.created_at) },
        { title: 'EXPIRES', value: (token) => until(token.expires_at) },
      ],
    });
  });
}

function revoke(): Command {
  return clientCommand('revoke <TOKEN>', 'Revoke a join token.', '  execplane tokens revoke join-9Qm2xT7a')
    .option('--json', 'print the revoked token as JSON')
    .action(async (token: string, flags: { json?: true }) => {
      const revoked = await clientOf(flags).joinTokens.revoke(token);
      if (flags.json) printJson(revoked);
      else print(`${revoked.join_token_id} is revoked.\n`);
    });
}
