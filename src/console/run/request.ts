/** Converts the form of a command to a request. */
import type { CreateBatch } from '../../api/batch.ts';
import type { CreateExecution } from '../../api/execution.ts';
import type { CreateSchedule } from '../../api/schedules/schedule.ts';
import type { Timing } from '../data/schedules.ts';
import type { Labels } from '../../core/machines/labels.ts';
import { parseLabelTexts } from '../parts/labels.tsx';
import { shellCommand, shellLine } from '../data/command.ts';
import { parseDuration, parseSize } from '../../api/quantity.ts';

export interface RunForm {
  /** Immediately, at the times of a cron expression, or at an interval. */
  when: 'now' | 'cron' | 'every';
  /** Five fields, such as `0 3 * * *`. */
  cron: string;
  /** IANA time zone. */
  timeZone: string;
  /** Such as `15m`. */
  every: string;
  /** How a run is handled while the previous one is unfinished. */
  overlap: NonNullable<CreateSchedule['overlap']>;
  /** Name of the schedule, for people. */
  name: string;
  /** One machine, or all machines with some labels. */
  on: 'machine' | 'labels';
  machineId: string;
  /** Such as `role=web site=berlin`. */
  labels: string;
  /** Maximum number of machines at a time. Empty: the server's default. */
  concurrency: string;
  /** After more failures it starts on no more machines. Empty: no limit. */
  maxFailures: string;
  /** A line for a shell, or a program and its arguments, one per line. */
  mode: 'shell' | 'argv';
  line: string;
  argv: string;
  env: readonly { name: string; value: string }[];
  stdin: string;
  stdinOpen: boolean;
  cwd: string;
  user: string;
  /** Such as `30s`. Empty: no limit. */
  timeout: string;
  /** Such as `512m`. Empty: no limit. */
  memory: string;
  /** Such as `1.5`. Empty: no limit. */
  cpus: string;
  /** Processes and threads. Empty: no limit. */
  pids: string;
  /** Files to keep, as globs separated by spaces. */
  artifacts: string;
}

export const EMPTY_FORM: RunForm = {
  when: 'now',
  cron: '',
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  every: '',
  overlap: 'skip',
  name: '',
  on: 'machine',
  machineId: '',
  labels: '',
  concurrency: '',
  maxFailures: '',
  mode: 'shell',
  line: '',
  argv: '',
  env: [],
  stdin: '',
  stdinOpen: false,
  cwd: '',
  user: '',
  timeout: '',
  memory: '',
  cpus: '',
  pids: '',
  artifacts: '',
};

/** Returns the argv that will run. */
export function commandOf({ mode, line, argv }: Pick<RunForm, 'mode' | 'line' | 'argv'>): string[] {
  if (mode === 'shell') return line.trim() === '' ? [] : shellCommand(line);
  return argv.split('\n').filter((argument, index, all) => argument !== '' || index < all.length - 1);
}

/** Returns the request of a form without errors. */
export function requestOf(form: RunForm): CreateExecution {
  const env = form.env.filter(({ name }) => name !== '').map(({ name, value }) => [name, value] as const);
  const artifacts = form.artifacts.split(/\s+/).filter(Boolean);
  const timeoutMs = form.timeout.trim() === '' ? undefined : parseDuration(form.timeout);
  return {
    command: commandOf(form),
    ...(env.length === 0 ? {} : { env: Object.fromEntries(env) }),
    ...(form.cwd === '' ? {} : { cwd: form.cwd }),
    ...(form.user === '' ? {} : { user: form.user }),
    ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
    ...(artifacts.length === 0 ? {} : { artifacts: artifacts.map((path) => ({ path })) }),
    ...limitsOf(form),
    ...stdinOf(form),
  };
}

function limitsOf({ memory, cpus, pids }: RunForm): Pick<CreateExecution, 'limits'> {
  const bytes = parseSize(memory);
  const limits = {
    ...(bytes === undefined ? {} : { memory_bytes: bytes }),
    ...(cpus === '' ? {} : { cpus: Number(cpus) }),
    ...(pids === '' ? {} : { pids: Number(pids) }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

/** The labels of the form; undefined if they are not written as labels, or there are none. */
export function labelsOf({ labels }: Pick<RunForm, 'labels'>): Labels | undefined {
  const parsed = parseLabelTexts(labels);
  return parsed === undefined || Object.keys(parsed).length === 0 ? undefined : parsed;
}

/** Returns the timing of the schedule in the form; undefined while it is malformed. */
export function timingOf({ when, cron, timeZone, every }: RunForm): Timing | undefined {
  if (when === 'cron')
    return cron.trim() === '' ? undefined : { cron: cron.trim(), time_zone: timeZone.trim() || 'UTC' };
  return when === 'every' && every.trim() !== '' ? { every: every.trim() } : undefined;
}

/** Converts the form to a schedule: a batch that starts repeatedly. */
export function scheduleOf(form: RunForm): CreateSchedule {
  const { selector, ...batch } = batchOf(form);
  return {
    ...(form.name.trim() === '' ? {} : { name: form.name.trim() }),
    ...timingOf(form),
    overlap: form.overlap,
    selector: form.on === 'machine' ? { machine_ids: [form.machineId] } : selector,
    ...batch,
  };
}

/** Converts the form to a batch: the same command on all machines with its labels. */
export function batchOf(form: RunForm): CreateBatch {
  const { stdin_open: _open, output_mode: _mode, ...command } = requestOf({ ...form, stdinOpen: false });
  return {
    selector: { labels: { ...labelsOf(form) } },
    ...(form.concurrency === '' ? {} : { max_concurrency: Number(form.concurrency) }),
    ...(form.maxFailures === '' ? {} : { max_failures: Number(form.maxFailures) }),
    ...command,
  };
}

function stdinOf({ stdin, stdinOpen }: RunForm): Partial<CreateExecution> {
  if (stdinOpen) return { stdin_open: true };
  return stdin === '' ? {} : { stdin };
}

/** Returns the errors of the form by field; none if it can be sent. */
export function faultsOf(form: RunForm): Partial<Record<keyof RunForm, string>> {
  return {
    ...targetFaults(form),
    ...(form.when === 'cron' && form.cron.trim() === '' ? { cron: 'Say when, such as 0 3 * * *.' } : {}),
    ...(form.when === 'every' && form.every.trim() === '' ? { every: 'Say how often, such as 15m.' } : {}),
    ...(commandOf(form).length === 0 ? { [form.mode === 'shell' ? 'line' : 'argv']: 'Type a command.' } : {}),
    ...(form.timeout.trim() !== '' && parseDuration(form.timeout) === undefined
      ? { timeout: 'It must be a number of seconds, or such as 90s, 5m, 1h30m.' }
      : {}),
    ...(form.memory.trim() !== '' && parseSize(form.memory) === undefined
      ? { memory: 'It must be such as 512m or 2g.' }
      : {}),
    ...(form.cpus === '' || Number(form.cpus) > 0 ? {} : { cpus: 'It must be a number above 0, such as 1.5.' }),
    ...(isCount(form.pids) ? {} : { pids: 'It must be a number from 1.' }),
  };
}

function targetFaults(form: RunForm): Partial<Record<keyof RunForm, string>> {
  if (form.on === 'machine') return form.machineId === '' ? { machineId: 'Choose a machine.' } : {};
  return {
    ...(labelsOf(form) === undefined ? { labels: 'It must be labels with their values, such as role=web.' } : {}),
    ...(isCount(form.concurrency) ? {} : { concurrency: 'It must be a number from 1.' }),
    ...(form.maxFailures === '0' || isCount(form.maxFailures) ? {} : { maxFailures: 'It must be a number from 0.' }),
  };
}

/** Whether a text is empty or a number from 1. */
function isCount(text: string): boolean {
  return text === '' || /^[1-9][0-9]{0,3}$/.test(text);
}

/** Returns the address of a form filled in from an execution. Values of its environment and its stdin cannot be restored. */
export function runAgainPath(execution: {
  machine_id: string;
  command: readonly string[];
  cwd?: string;
  env_keys?: readonly string[];
}): string {
  const parameters = new URLSearchParams({ machine: execution.machine_id, command: JSON.stringify(execution.command) });
  if (execution.cwd !== undefined) parameters.set('cwd', execution.cwd);
  for (const name of execution.env_keys ?? []) parameters.append('env', name);
  return `/run?${parameters}`;
}

/** Returns the form that an address starts with. */
export function formFrom(parameters: URLSearchParams): RunForm {
  const argv = parseArgv(parameters.get('command'));
  const line = shellLine(argv);
  return {
    ...EMPTY_FORM,
    when: parameters.get('when') === 'cron' ? 'cron' : 'now',
    on: parameters.get('on') === 'labels' || parameters.has('labels') ? 'labels' : 'machine',
    labels: parameters.get('labels') ?? '',
    machineId: parameters.get('machine') ?? '',
    ...(line === undefined && argv.length > 0 ? { mode: 'argv', argv: argv.join('\n') } : { line: line ?? '' }),
    cwd: parameters.get('cwd') ?? '',
    env: parameters.getAll('env').map((name) => ({ name, value: '' })),
  };
}

/** Parses the argv in an address, which may be malformed. */
function parseArgv(json: string | null): string[] {
  if (json === null) return [];
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : [];
  } catch {
    return [];
  }
}
