import type { Command } from 'commander';
import type { JoinToken } from '../../client/main.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../client-command.ts';
import { print, printError } from '../streams/output.ts';
import { age, until } from '../terminal/age.ts';
import { parseDuration } from '../terminal/duration.ts';
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
  return groupCommand('tokens', 'Join tokens, with which agents enrol.', [create(), list(), revoke()]);
}

function create(): Command {
  return clientCommand(
    'create',
    'Make a join token and print it; it works once, within an hour, unless told otherwise.',
    '  execplane tokens create | ssh web-1 execplane agent --join-token-file - --url https://execplane.example.com\n  execplane tokens create --reusable --expires-in 7d',
  )
    .option('--machine <MACHINE>', 'for this machine: a new one, or one that exists and gets a new credential')
    .option('--reusable', 'works more than once')
    .option('--expires-in <DURATION>', 'valid for so long, as 7d', parseDuration)
    .option('--json', 'print the token with all of its fields as JSON')
    .action(async (flags: CreateFlags) => {
      const made = await clientOf(flags).joinTokens.create({
        ...(flags.machine === undefined ? {} : { machine_id: flags.machine }),
        ...(flags.reusable === undefined ? {} : { reusable: flags.reusable }),
        ...(flags.expiresIn === undefined ? {} : { expires_in_ms: flags.expiresIn }),
      });
      if (made.token === undefined) throw tokenLost(made);
      if (flags.json) printJson(made);
      else {
        printError(`${made.join_token_id}, valid until ${made.expires_at}; it is shown this once:\n`);
        print(`${made.token}\n`);
      }
    });
}

/** A repeated request is answered without the token, which is shown once. */
export function tokenLost({ join_token_id: id }: JoinToken): CliError {
  return new CliError('the token was made, but lost on its way here.', {
    hint: `Take it back with "execplane tokens revoke ${id}" and make another.`,
  });
}

function list(): Command {
  return addListOptions(
    clientCommand('ls', 'List join tokens that can still be used.', '  execplane tokens ls'),
  ).action(async (flags: ListOptions) => {
    await printList((page) => clientOf(flags).joinTokens.list(page), flags, {
      none: 'No join tokens that can still be used.',
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
