import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type CreateSchedule,
  type Execplane,
  OVERLAPS,
  type Schedule,
  type ScheduleRun,
  type UpdateSchedule,
} from '../../../client/main.ts';
import { CliError } from '../../cli-error.ts';
import { clientCommand, clientOf, groupCommand } from '../../client-command.ts';
import { environmentVariable } from '../../exec/environment.ts';
import { machineIdOf } from '../../machine-name.ts';
import { print } from '../../streams/output.ts';
import { age, until } from '../../terminal/age.ts';
import { countsText } from '../../terminal/batch-words.ts';
import { durationOption } from '../../terminal/duration.ts';
import { labelsWith } from '../../terminal/labels.ts';
import { addListOptions, type ListOptions, parseCount, parseWholeNumber, printList } from '../../terminal/list.ts';
import { printFields, printJson, shellWords } from '../../terminal/print.ts';

const SHOWN_RUNS = 5;

/** `execplane schedules …`. */
export function schedulesCommand(): Command {
  return groupCommand('schedules', 'Schedules: each runs one command on machines repeatedly.', [
    create(),
    list(),
    show(),
    update(),
    pause(),
    resume(),
    runs(),
    remove(),
  ]);
}

interface ScheduleFlags {
  name?: string;
  cron?: string;
  every?: string;
  timeZone?: string;
  label?: Record<string, string>;
  machine?: string[];
  overlap?: CreateSchedule['overlap'];
  catchUp?: boolean;
  paused?: true;
  concurrency?: number;
  maxFailures?: number;
  cwd?: string;
  env?: Record<string, string>;
  timeout?: number;
  user?: string;
  json?: true;
}

function create(): Command {
  const command = clientCommand(
    'create <ARGV...>',
    'Create a schedule: it runs a command on machines at the times of a cron expression, or at an interval.',
    '  execplane schedules create --cron "0 3 * * *" --time-zone Europe/Berlin --label role=db -- /usr/local/bin/backup\n  execplane schedules create --every 15m --machine web-1 -- systemctl is-active nginx',
  );
  return withScheduleOptions(command)
    .option('--paused', 'create it paused')
    .action(async (argv: string[], flags: ScheduleFlags) => {
      const client = clientOf(flags);
      const selector = await selectorOf(client, flags);
      if (selector === undefined) throw new CliError('Name the machines with --label or --machine.', { exitCode: 2 });
      if ((flags.cron === undefined) === (flags.every === undefined)) {
        throw new CliError('Give the times with either --cron or --every.', { exitCode: 2 });
      }
      const made = await client.schedules.create({ ...fieldsOf(flags), selector, command: argv });
      if (flags.json) printJson(made);
      else print(`${made.schedule_id} is created: ${dueText(made)}.\n`);
    });
}

function update(): Command {
  const command = clientCommand(
    'update <SCHEDULE> [ARGV...]',
    'Change a schedule. A new command replaces the old one with all of its settings: repeat --cwd, --env, --timeout and --user.',
    '  execplane schedules update ID --cron "0 4 * * *"\n  execplane schedules update ID -- /usr/local/bin/backup --full',
  );
  return withScheduleOptions(command).action(async (id: string, argv: string[], flags: ScheduleFlags) => {
    const client = clientOf(flags);
    const selector = await selectorOf(client, flags);
    const body: UpdateSchedule = {
      ...fieldsOf(flags),
      ...(selector === undefined ? {} : { selector }),
      ...(argv.length === 0 ? {} : { command: argv }),
    };
    printChanged(await client.schedules.update(id, body), flags);
  });
}

function withScheduleOptions(command: Command): Command {
  return command
    .option('--name <NAME>', 'name of the schedule, for people')
    .option(
      '--cron <EXPRESSION>',
      'when it runs: minute, hour, day, month, weekday; or @hourly, @daily, @weekly, @monthly',
    )
    .option('--every <DURATION>', 'instead of --cron: the interval, such as 15m or 1h30m')
    .option('--time-zone <ZONE>', 'time zone of --cron (default: UTC)')
    .option('--label <KEY=VALUE>', 'run on all machines with this label; repeatable', labelsWith)
    .option('--machine <MACHINE...>', 'instead of --label: run on these machines')
    .addOption(
      new Option(
        '--overlap <WHAT>',
        'if the previous run has not ended: skip this one, queue it, or cancel the previous (default: skip)',
      ).choices([...OVERLAPS]),
    )
    .option('--catch-up', 'if runs were missed because no server was running: start one run afterwards')
    .option('--no-catch-up', 'do not make up for missed runs (the default)')
    .option('--concurrency <N>', 'how many machines run it at once (default: 10)', parseCount)
    .option(
      '--max-failures <N>',
      'in a run, start it on no more machines after more failures than this (default: no limit)',
      parseWholeNumber,
    )
    .option('-w, --cwd <DIRECTORY>', 'working directory (default: the home of the user)')
    .option('-e, --env <NAME=VALUE>', 'environment variable; repeatable', collectEnv)
    .option('--timeout <DURATION>', 'kill the command after this time, such as 30s or 5m', durationOption)
    .option('-u, --user <USER>', 'run as this user, if the machine allows it')
    .option('--json', 'print the schedule as JSON');
}

function collectEnv(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const [name, value] = environmentVariable(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write it as NAME=VALUE.');
  return { ...before, [name]: value };
}

/** Returns the selector of the flags. Undefined if they name no machines. */
async function selectorOf(
  client: Execplane,
  { label, machine }: ScheduleFlags,
): Promise<CreateSchedule['selector'] | undefined> {
  if (label !== undefined && machine !== undefined) {
    throw new CliError('--label and --machine cannot be used together.', { exitCode: 2 });
  }
  if (label !== undefined) return { labels: label };
  if (machine === undefined) return undefined;
  return { machine_ids: await Promise.all(machine.map((text) => machineIdOf(client, text))) };
}

function fieldsOf(flags: ScheduleFlags): Omit<UpdateSchedule, 'selector' | 'command'> {
  const { name, cron, every, timeZone, overlap, catchUp, paused, concurrency, maxFailures } = flags;
  const { cwd, env, timeout, user } = flags;
  return {
    ...(name === undefined ? {} : { name }),
    ...(cron === undefined ? {} : { cron }),
    ...(every === undefined ? {} : { every }),
    ...(timeZone === undefined ? {} : { time_zone: timeZone }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(catchUp === undefined ? {} : { catch_up: catchUp }),
    ...(paused === undefined ? {} : { paused }),
    ...(concurrency === undefined ? {} : { max_concurrency: concurrency }),
    ...(maxFailures === undefined ? {} : { max_failures: maxFailures }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(timeout === undefined ? {} : { timeout_ms: timeout }),
    ...(user === undefined ? {} : { user }),
  };
}

function list(): Command {
  return addListOptions(
    clientCommand('ls', 'List schedules, newest first.', '  execplane schedules ls\n  execplane schedules ls --json'),
  ).action(async (flags: ListOptions) => {
    const { schedules } = clientOf(flags);
    await printList<Schedule>((page) => schedules.list(page), flags, {
      none: 'No schedules.',
      columns: [
        { title: 'SCHEDULE', value: (schedule) => schedule.schedule_id },
        { title: 'NAME', value: ({ name }) => name },
        { title: 'WHEN', value: whenText },
        { title: 'NEXT', value: nextText },
        { title: 'MACHINES', value: machinesText },
        { title: 'COMMAND', value: ({ command }) => shellWords(command) },
      ],
    });
  });
}

function show(): Command {
  return clientCommand('show <SCHEDULE>', 'Show a schedule and when it is due next.', '  execplane schedules show ID')
    .option('--json', 'print the schedule as JSON')
    .action(async (id: string, flags: { json?: true }) => {
      const schedule = await clientOf(flags).schedules.get(id, { nextRuns: SHOWN_RUNS });
      if (flags.json) printJson(schedule);
      else printFields({ ...schedule, command: shellWords(schedule.command) });
    });
}

function pause(): Command {
  return clientCommand(
    'pause <SCHEDULE>',
    'Pause a schedule: it starts no runs until it is resumed.',
    '  execplane schedules pause ID',
  )
    .option('--json', 'print the schedule as JSON')
    .action(async (id: string, flags: { json?: true }) =>
      printChanged(await clientOf(flags).schedules.pause(id), flags),
    );
}

function resume(): Command {
  return clientCommand(
    'resume <SCHEDULE>',
    'Resume a schedule: its next run is the next one due from now on.',
    '  execplane schedules resume ID',
  )
    .option('--json', 'print the schedule as JSON')
    .action(async (id: string, flags: { json?: true }) =>
      printChanged(await clientOf(flags).schedules.resume(id), flags),
    );
}

function printChanged(schedule: Schedule, { json }: { json?: true }): void {
  if (json) printJson(schedule);
  else print(`${schedule.schedule_id}: ${dueText(schedule)}.\n`);
}

function runs(): Command {
  return addListOptions(
    clientCommand('runs <SCHEDULE>', 'List the runs of a schedule, newest first.', '  execplane schedules runs ID'),
  ).action(async (id: string, flags: ListOptions) => {
    const { schedules } = clientOf(flags);
    await printList<ScheduleRun>((page) => schedules.runs(id, page), flags, {
      none: 'No runs yet.',
      columns: [
        { title: 'DUE', value: (run) => run.due_at },
        { title: 'OUTCOME', value: outcomeText },
        { title: 'BATCH', value: ({ batch }) => batch?.batch_id },
        { title: 'MACHINES', value: ({ batch }) => batch && countsText(batch.counts) },
        { title: 'STARTED', value: ({ batch }) => batch && age(batch.created_at) },
      ],
    });
  });
}

function remove(): Command {
  return clientCommand(
    'rm <SCHEDULE>',
    'Delete a schedule and its history. Batches that it has started continue.',
    '  execplane schedules rm ID',
  )
    .option('--json', 'print the deleted schedule as JSON')
    .action(async (id: string, flags: { json?: true }) => {
      const removed = await clientOf(flags).schedules.remove(id);
      if (flags.json) printJson(removed);
      else print(`${removed.schedule_id} is deleted.\n`);
    });
}

/** Formats the timing of a schedule: `0 3 * * * (Europe/Berlin)`, `every 15m`. */
function whenText({ cron, time_zone: zone, every_seconds: seconds }: Schedule): string {
  if (cron !== undefined) return `${cron} (${zone})`;
  return `every ${everyText(seconds ?? 0)}`;
}

function everyText(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  return parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
}

function nextText({ paused, next_run_at: next }: Schedule): string {
  return paused ? 'paused' : until(next);
}

function dueText({ paused, paused_reason: reason, next_run_at: next }: Schedule): string {
  if (paused) return reason === 'by_request' ? 'paused' : `paused (${reason})`;
  return next === undefined ? 'never due again' : `due ${until(next)}, at ${next}`;
}

function machinesText({ selector: { labels, machine_ids: ids = [] } }: Schedule): string {
  if (labels === undefined) return ids.join(',');
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Returns the status of a run's batch, or the reason why it has none. */
function outcomeText({ outcome, reason, batch }: ScheduleRun): string {
  if (batch !== undefined) return batch.status;
  return reason === undefined ? outcome : `${outcome} (${reason})`;
}
