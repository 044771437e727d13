import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { ApiFailure } from '../http/api-failure.ts';
import { apiOf, clientCommand, groupCommand } from '../client-command.ts';
import { isLoopback } from '../config.ts';
import type { Api } from '../http/http.ts';
import { joinCommand } from '../up/join-command.ts';
import { addListOptions, type ListOptions, printList } from '../terminal/list.ts';
import { printFields, printJson } from '../terminal/print.ts';
import { tokenLost } from './tokens.ts';
import type { JoinToken, Machine } from '../http/wire.ts';

/** `execplane machines …`. */
export function machinesCommand(): Command {
  return groupCommand('machines', 'The machines that commands run on.', [create(), list(), show(), remove(), rotate()]);
}

function create(): Command {
  return clientCommand(
    'create [MACHINE]',
    'Make a join token for a new machine, and print the line that makes it join.',
    '  execplane machines create dm-web-1\n  execplane machines create --json',
  )
    .option('--json', 'print the join token as JSON, with the line as join_command')
    .action(async (machine: string | undefined, flags: { json?: true }) => {
      const api = apiOf(flags);
      const machineId = machine ?? `dm-${randomBytes(5).toString('hex')}`;
      await printToken(api, machineId, flags.json === true, 'As root on that machine, beside the packages:');
    });
}

function list(): Command {
  return addListOptions(
    clientCommand('ls', 'List machines.', '  execplane machines ls\n  execplane machines ls --json'),
  ).action(async (flags: ListOptions) => {
    await printList<Machine>(apiOf(flags), '/v1/machines', flags, {
      none: 'No machines yet: "execplane machines create" adds one.',
      columns: [
        { title: 'MACHINE', value: (machine) => machine.machine_id },
        { title: 'PHASE', value: ({ status }) => status.phase },
        { title: 'REASON', value: ({ status }) => status.reason },
        { title: 'VCPU', value: ({ vcpu }) => vcpu },
        { title: 'MEMORY', value: ({ memory_mib }) => `${memory_mib} MiB` },
        { title: 'STORAGE', value: ({ storage_gib }) => `${storage_gib} GiB` },
        { title: 'LAST SEEN', value: ({ status }) => status.last_progress_at },
      ],
    });
  });
}

function show(): Command {
  return clientCommand('show <MACHINE>', 'Show a machine.', '  execplane machines show dm-web-1')
    .option('--json', 'print the machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      const found = await apiOf(flags).json<Machine>('GET', `/v1/machines/${encodeURIComponent(machine)}`);
      if (flags.json) printJson(found);
      else printFields({ ...found, ...found.status, status: undefined });
    });
}

function remove(): Command {
  return clientCommand(
    'rm <MACHINE>',
    'Remove a machine for good: ends what runs there; its id cannot be used again.',
    '  execplane machines rm dm-web-1',
  )
    .option('--json', 'print the removed machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      const removed = await apiOf(flags).json<Machine>('DELETE', `/v1/machines/${encodeURIComponent(machine)}`);
      if (flags.json) printJson(removed);
      else process.stdout.write(`${removed.machine_id} is removed.\n`);
    });
}

function rotate(): Command {
  return clientCommand(
    'rotate <MACHINE>',
    'Give the agent of a machine a new credential; commands run on. Where it is away: a join token that does the same.',
    '  execplane machines rotate dm-web-1',
  )
    .option('--json', 'print the machine, or the join token, as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      const api = apiOf(flags);
      const asked = await rotateConnected(api, machine);
      if (asked !== undefined) {
        if (flags.json) printJson(asked);
        else process.stdout.write(`${asked.machine_id} gets a new credential now; the old one dies with it.\n`);
        return;
      }
      const steps = 'As root on that machine, with its agent stopped and credential.json removed from its directory:';
      await printToken(api, machine, flags.json === true, steps);
    });
}

/** Undefined where the agent is away. */
async function rotateConnected(api: Api, machine: string): Promise<Machine | undefined> {
  try {
    return await api.json<Machine>('POST', `/v1/machines/${encodeURIComponent(machine)}/rotate`);
  } catch (error) {
    if (error instanceof ApiFailure && error.reason === 'agent_away') return undefined;
    throw error;
  }
}

async function printToken(api: Api, machineId: string, json: boolean, steps: string): Promise<void> {
  const made = await api.json<JoinToken>('POST', '/v1/join-tokens', { body: { machine_id: machineId } });
  if (made.token === undefined) throw tokenLost(made);
  const line = joinCommand(api.url, made.token);
  if (json) {
    printJson({ ...made, join_command: line });
    return;
  }
  process.stdout.write(`${machineId} can join until ${made.expires_at}, once. ${steps}\n\n  ${line}\n`);
  if (isLoopback(api.url)) {
    process.stderr.write(`${api.url.hostname} is this host: elsewhere, put the address of the server in its place.\n`);
  }
}
