import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { type CreateMachine, type Execplane, type Machine, type PageOptions, RefusedError } from '../../client/main.ts';
import { isLoopback } from '../../node/network/loopback.ts';
import { CliError } from '../cli-error.ts';
import { clientCommand, clientFor, clientOf, groupCommand } from '../client-command.ts';
import { type ClientFlags, readClientConfig } from '../config.ts';
import { fetchFor } from '../fetch.ts';
import { labelsWith } from '../terminal/labels.ts';
import { print, printError } from '../streams/output.ts';
import { addListOptions, type ListOptions, parseCount, printList } from '../terminal/list.ts';
import { lastSeen, stateOf } from '../terminal/machine-words.ts';
import { printFields, printJson } from '../terminal/print.ts';
import { findInstaller, joinCommand } from '../up/join-command.ts';
import { tokenLost } from './tokens.ts';

/** `execplane machines …`. */
export function machinesCommand(): Command {
  return groupCommand('machines', 'The machines that commands run on.', [
    create(),
    list(),
    show(),
    rename(),
    wake(),
    sleep(),
    remove(),
    rotate(),
  ]);
}

function create(): Command {
  return clientCommand(
    'create [MACHINE]',
    'Make a join token for a new machine, and print the command line with which the machine joins. With any option but --json, create the machine itself: its provider starts it, or an agent joins as it.',
    '  execplane machines create dm-web-1\n  execplane machines create --name build-1 --provider docker --vcpu 2 --label role=web --autosleep 30m',
  )
    .option('--name <NAME>', 'name of the machine, for people, such as web-1')
    .option('--provider <NAME>', "provider that creates the machine (default: the server's)")
    .option('--vcpu <N>', 'processors, in steps of 0.25', parseProcessors)
    .option('--memory-mib <N>', 'memory in MiB', parseCount)
    .option('--storage-gib <N>', 'storage in GiB', parseCount)
    .option(
      '--autosleep <DURATION>',
      'put it to sleep after this idle time: never, seconds, or a duration such as 7d3h4s',
    )
    .option('--label <KEY=VALUE>', 'label of the machine; repeatable', labelsWith)
    .option('--json', 'print the machine, or the join token with join_command, as JSON')
    .action(async (machine: string | undefined, flags: CreateFlags) => {
      const settings = wantedMachine(flags);
      if (settings !== undefined) {
        const id = machine === undefined ? {} : { machine_id: checkedId(machine) };
        printCreated(await clientOf(flags).machines.create({ ...id, ...settings }), flags);
        return;
      }
      const machineId = machine === undefined ? `dm-${randomBytes(5).toString('hex')}` : checkedId(machine);
      await printToken(flags, machineId);
    });
}

interface CreateFlags extends ClientFlags {
  name?: string;
  provider?: string;
  vcpu?: number;
  memoryMib?: number;
  storageGib?: number;
  autosleep?: string;
  label?: Record<string, string>;
  json?: true;
}

/** Returns the machine that the flags describe. Undefined without such flags: then a machine joins with a token. */
function wantedMachine(flags: CreateFlags): CreateMachine | undefined {
  const { name, provider, vcpu, memoryMib, storageGib, autosleep, label } = flags;
  const settings: CreateMachine = {
    ...(name === undefined ? {} : { name }),
    ...(provider === undefined ? {} : { provider }),
    ...(vcpu === undefined ? {} : { vcpu }),
    ...(memoryMib === undefined ? {} : { memory_mib: memoryMib }),
    ...(storageGib === undefined ? {} : { storage_gib: storageGib }),
    ...(autosleep === undefined ? {} : { autosleep }),
    ...(label === undefined ? {} : { labels: label }),
  };
  return Object.keys(settings).length === 0 ? undefined : settings;
}

function parseProcessors(text: string): number {
  const count = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && count > 0 && Number.isInteger(count * 4)) return count;
  throw new InvalidArgumentError('It must be a number above 0, in steps of 0.25.');
}

function printCreated(machine: Machine, { json }: { json?: true }): void {
  if (json) {
    printJson(machine);
    return;
  }
  print(`${machine.machine_id} is created: ${stateOf(machine)}.\n`);
  if (machine.status.reason === 'never_joined') {
    printError(`It has no provider: "execplane tokens create --machine ${machine.machine_id}" lets its agent join.\n`);
  }
}

function list(): Command {
  const command = clientCommand(
    'ls',
    'List machines.',
    '  execplane machines ls\n  execplane machines ls --label role=web --json',
  ).option('--label <label>', 'only machines with this label, such as role=web or role; repeatable', collect);
  return addListOptions(command).action(async (flags: ListOptions & { label?: string[] }) => {
    const { label } = flags;
    const list = (page: PageOptions) =>
      clientOf(flags).machines.list({ ...page, label, include: ['name', 'labels', 'facts'] });
    await printList<Machine>(list, flags, {
      none: 'No machines yet: "execplane machines create" adds one.',
      columns: [
        { title: 'MACHINE', value: (machine) => machine.machine_id },
        { title: 'NAME', value: ({ name }) => name },
        { title: 'STATUS', value: stateOf },
        { title: 'LAST SEEN', value: lastSeen },
        { title: 'HOSTNAME', value: ({ facts }) => facts?.hostname },
        { title: 'LABELS', value: labelsText },
        { title: 'AGENT', value: ({ facts }) => facts?.agent_version },
        { title: 'CPUS', value: ({ vcpu }) => vcpu || undefined },
        { title: 'MEMORY', value: ({ memory_mib: mib }) => sizeIn(mib, 'MiB') },
        { title: 'STORAGE', value: ({ storage_gib: gib }) => sizeIn(gib, 'GiB') },
      ],
    });
  });
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}

function labelsText({ labels = {} }: Machine): string | undefined {
  return (
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',') || undefined
  );
}

/** Formats a size. Undefined for 0, which the API returns before the machine has joined. */
function sizeIn(size: number, unit: string): string | undefined {
  return size === 0 ? undefined : `${size} ${unit}`;
}

function show(): Command {
  return clientCommand('show <MACHINE>', 'Show a machine.', '  execplane machines show dm-web-1')
    .option('--json', 'print the machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      const found = await clientOf(flags).machines.get(machine, { include: ['name', 'labels', 'facts'] });
      if (flags.json) printJson(found);
      else printFields(fieldsOf(found));
    });
}

function fieldsOf({ status, ...machine }: Machine): object {
  return {
    status: stateOf({ status, ...machine }),
    last_seen: lastSeen({ status, ...machine }),
    ...machine,
    ...status,
  };
}

function rename(): Command {
  return clientCommand(
    'rename <MACHINE> <NAME>',
    'Give a machine another name. All commands accept a name instead of an id.',
    '  execplane machines rename dm-4k2m web-1',
  )
    .option('--json', 'print the machine as JSON')
    .action(async (machine: string, name: string, flags: { json?: true }) => {
      const renamed = await clientOf(flags).machines.update(machine, { name });
      if (flags.json) printJson(renamed);
      else print(`${renamed.machine_id} is called ${name}.\n`);
    });
}

function wake(): Command {
  return clientCommand(
    'wake <MACHINE>',
    'Wake a machine that its provider has put to sleep.',
    '  execplane machines wake dm-web-1',
  )
    .option('--json', 'print the machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      printState(await clientOf(flags).machines.wake(machine), flags);
    });
}

function sleep(): Command {
  return clientCommand(
    'sleep <MACHINE>',
    'Put a machine to sleep through its provider. The next command on it wakes it.',
    '  execplane machines sleep dm-web-1',
  )
    .option('--json', 'print the machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      printState(await clientOf(flags).machines.sleep(machine), flags);
    });
}

function printState(machine: Machine, { json }: { json?: true }): void {
  if (json) printJson(machine);
  else print(`${machine.machine_id} is ${stateOf(machine)}.\n`);
}

function remove(): Command {
  return clientCommand(
    'rm <MACHINE>',
    'Remove a machine for good: its executions end, and its id cannot be used again.',
    '  execplane machines rm dm-web-1',
  )
    .option('--json', 'print the removed machine as JSON')
    .action(async (machine: string, flags: { json?: true }) => {
      const removed = await clientOf(flags).machines.remove(machine);
      if (flags.json) printJson(removed);
      else print(`${removed.machine_id} is removed.\n`);
    });
}

function rotate(): Command {
  return clientCommand(
    'rotate <MACHINE>',
    'Give the agent of a machine a new credential while commands run. If the agent is offline, make a join token for it instead.',
    '  execplane machines rotate dm-web-1',
  )
    .option('--json', 'print the machine, or the join token, as JSON')
    .action(async (machine: string, flags: ClientFlags & { json?: true }) => {
      const client = clientOf(flags);
      const rotated = await rotateConnected(client, machine);
      if (rotated !== undefined) {
        if (flags.json) printJson(rotated);
        else print(`${rotated.machine_id} gets a new credential, which replaces the old one.\n`);
        return;
      }
      await printToken(
        flags,
        machine,
        'Stop the agent on that machine, and remove credential.json from its directory. ',
      );
    });
}

/** Gives a connected agent a new credential. Undefined if the agent is offline. */
async function rotateConnected(client: Execplane, machine: string): Promise<Machine | undefined> {
  try {
    return await client.machines.rotate(machine);
  } catch (error) {
    if (error instanceof RefusedError && error.details['reason'] === 'agent_away') return undefined;
    throw error;
  }
}

/** Prints a join token and the command to use it. `first`: an instruction for the time before. */
async function printToken(flags: ClientFlags & { json?: true }, machineId: string, first = ''): Promise<void> {
  const config = readClientConfig(flags);
  const made = await clientFor(config).joinTokens.create({ machine_id: machineId });
  if (made.token === undefined) throw tokenLost(made);
  const { url, ca } = config;
  const installer = await findInstaller({ url, ca, fetch: fetchFor(config) });
  const line = joinCommand(url, made.token, installer);
  if (flags.json) {
    printJson({ ...made, join_command: line });
    return;
  }
  const folder = installer === 'folder' ? ', in the folder that contains the packages' : '';
  const steps = `${first}Run this as root on the machine${folder}:`;
  print(`${machineId} can join until ${made.expires_at}, once. ${steps}\n\n  ${line}\n`);
  if (isLoopback(url.hostname)) {
    printError(`${url.hostname} is this host: on another machine, replace it by the address of the server.\n`);
  }
}

/** Throws CliError if the text cannot be a machine id, and suggests the nearest one that can. */
function checkedId(text: string): string {
  if (/^dm-[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text) && text.length <= 253) return text;
  const word = text
    .toLowerCase()
    .replace(/^dm-/, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 200);
  throw new CliError(`${JSON.stringify(text)} cannot be the id of a machine.`, {
    exitCode: 2,
    hint: `An id begins with dm-, has a-z, 0-9 and hyphens, and does not end with a hyphen: dm-${word || 'web-1'}.`,
  });
}
