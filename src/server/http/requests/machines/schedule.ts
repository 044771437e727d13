/** Converts validated bodies to the definition of a schedule, and checks the rules that a schema cannot express. */
import { parseAutosleep } from '../../../../core/machines/autosleep.ts';
import type { Timing } from '../../../../core/schedule.ts';
import { CommandOfBatch, type CreateBatch } from '../../../../api/batch.ts';
import type { CreateSchedule, UpdateSchedule } from '../../../../api/schedules/schedule.ts';
import type { OnBehalf, ScheduleDefinition } from '../../../../store/store.ts';
import type { BatchCommand } from '../../../control/batches/command-text.ts';
import { nextTick, TimingError } from '../../../control/schedules/ticks.ts';
import { assertMachine } from '../../authentication/auth.ts';
import type { Principal } from '../../authentication/key-ring.ts';
import { invalid } from '../../replies/problem.ts';
import type { ControlPlane } from '../../../control/control.ts';
import type { Schedules } from '../../../control/schedules/schedules.ts';
import { assertMayKeep, type CreateLimits, createRequestOf } from '../create-request.ts';

const DEFAULT_CONCURRENCY = 10;
const MAX_EVERY_SECONDS = 366 * 86_400;
/** Fields that belong to the command. A change of the command replaces all of them, and without a command they are refused. */
const OF_COMMAND = Object.keys(CommandOfBatch).filter((name) => name !== 'command') as Exclude<
  keyof typeof CommandOfBatch,
  'command'
>[];

type TimingFields = Pick<CreateSchedule, 'cron' | 'every' | 'time_zone'>;

/** Returns the timing of a request. Throws a 422 if it has none, or one that is never due. `now`: ms since the epoch. */
export function timingOf({ cron, every, time_zone: timeZone }: TimingFields, now: number): Timing {
  if ((cron === undefined) === (every === undefined)) {
    throw invalid([{ location: 'body.cron', message: 'either cron or every is required, and not both' }]);
  }
  if (cron === undefined) {
    if (timeZone !== undefined) throw invalid([{ location: 'body.time_zone', message: 'is allowed only with cron' }]);
    const seconds = parseAutosleep(String(every)) ?? Number.POSITIVE_INFINITY;
    if (seconds >= 1 && seconds <= MAX_EVERY_SECONDS) return { everyMs: seconds * 1000 };
    throw invalid([{ location: 'body.every', message: 'must be from one second to 366 days', value: String(every) }]);
  }
  const timing = { cron, timeZone: timeZone ?? 'UTC' };
  try {
    if (nextTick(timing, { anchor: now, after: now }) !== undefined) return timing;
  } catch (error) {
    if (!(error instanceof TimingError)) throw error;
    const value = error.field === 'cron' ? cron : timing.timeZone;
    throw invalid([{ location: `body.${error.field}`, message: error.message, value }]);
  }
  throw invalid([{ location: 'body.cron', message: 'is never due', value: cron }]);
}

/** Returns the selector of a schedule. Throws if it names a machine that the key may not use. */
export function selectorOf(
  principal: Principal,
  { labels, machine_ids: machineIds }: CreateBatch['selector'],
): ScheduleDefinition['selector'] {
  if (machineIds !== undefined && labels === undefined) {
    for (const machineId of machineIds) assertMachine(principal, machineId);
    return { machineIds };
  }
  if (labels !== undefined && machineIds === undefined && Object.keys(labels).length > 0) return { labels };
  throw invalid([{ location: 'body.selector', message: 'must have either labels or machine_ids, and not both' }]);
}

/** Reads the command of a schedule, and the parts of it that clients may read. */
export function commandOf(
  body: Omit<CreateSchedule, 'selector'>,
  limits: CreateLimits,
): { command: BatchCommand; shown: ScheduleDefinition['shown'] } {
  const {
    machineId: _id,
    createdBy: _by,
    ...command
  } = createRequestOf(fieldsOfCommand(body), { machineId: '', createdBy: '' }, limits);
  const { cwd, user, timeoutMs } = command;
  const shown = {
    command: command.command,
    envKeys: Object.keys(command.env).sort(),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
  return { command, shown };
}

/** Returns the definition of a new schedule, without its command. Throws a 422. */
export function definitionOf(
  body: CreateSchedule,
  p: { principal: Principal; now: number; shown: ScheduleDefinition['shown'] },
): ScheduleDefinition {
  const { name, overlap = 'skip', catch_up: catchUp = false } = body;
  const { max_concurrency: maxConcurrency = DEFAULT_CONCURRENCY, max_failures: maxFailures } = body;
  return {
    ...(name === undefined ? {} : { name }),
    timing: timingOf(body, p.now),
    selector: selectorOf(p.principal, body.selector),
    overlap,
    catchUp,
    maxConcurrency,
    ...(maxFailures === undefined ? {} : { maxFailures }),
    shown: p.shown,
  };
}

/** Returns `present` with the changes of a body. Throws a 422. */
export function changedDefinition(
  body: UpdateSchedule,
  present: ScheduleDefinition,
  p: { principal: Principal; now: number; shown: ScheduleDefinition['shown'] },
): ScheduleDefinition {
  const { name, overlap, catch_up: catchUp, max_concurrency: maxConcurrency, max_failures: maxFailures } = body;
  return {
    ...present,
    ...(name === undefined ? {} : { name }),
    timing: changesTiming(body) ? timingOf(withPresent(body, present.timing), p.now) : present.timing,
    ...(body.selector === undefined ? {} : { selector: selectorOf(p.principal, body.selector) }),
    ...(overlap === undefined ? {} : { overlap }),
    ...(catchUp === undefined ? {} : { catchUp }),
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    shown: p.shown,
  };
}

/** Whether a body changes the timing. */
export function changesTiming({ cron, every, time_zone: timeZone }: TimingFields): boolean {
  return cron !== undefined || every !== undefined || timeZone !== undefined;
}

/** Throws a 422 for fields of a command if the body has no command. */
export function assertWithCommand(body: UpdateSchedule): void {
  const alone = body.command === undefined ? OF_COMMAND.filter((name) => body[name] !== undefined) : [];
  if (alone.length === 0) return;
  throw invalid(
    alone.map((name) => ({
      location: `body.${name}`,
      message: 'is allowed only with command: the fields of the command are replaced together',
    })),
  );
}

/** Completes cron or its time zone from the present timing, if a body has only one of them. */
function withPresent(body: TimingFields, present: Timing): TimingFields {
  const { cron, every, time_zone: timeZone } = body;
  if (every !== undefined || 'everyMs' in present) return body;
  return { cron: cron ?? present.cron, time_zone: timeZone ?? present.timeZone };
}

function fieldsOfCommand(body: Omit<CreateSchedule, 'selector'>): Parameters<typeof createRequestOf>[0] {
  const fields = OF_COMMAND.filter((name) => body[name] !== undefined).map((name) => [name, body[name]] as const);
  return { command: body.command, ...Object.fromEntries(fields) };
}

/** Seals the command of a schedule. Throws RATE_LIMITED if it is more than the key may keep on the server. */
export async function sealCommand(
  { control, starter }: { control: Pick<ControlPlane, 'mayKeep'>; starter: Schedules['starter'] },
  p: { scheduleId: string; createdBy: string; command: BatchCommand } & OnBehalf,
): Promise<Buffer> {
  const sealed = await starter.seal(p.scheduleId, p.command);
  await assertMayKeep(control, { ...p, bytes: sealed.length });
  return sealed;
}
