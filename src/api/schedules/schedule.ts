/** Schedule on the wire: one command that runs on machines repeatedly. */
import { type Static, Type } from 'typebox';
import { OVERLAPS } from '../../core/schedule.ts';
import { CreateBatchSchema } from '../batch.ts';
import { NextCursor, Time } from '../fields.ts';
import { INTERVAL_PATTERN, NOT_EMPTY_NO_NUL } from '../patterns.ts';

const strict = { additionalProperties: false } as const;
const { order: _order, selector, ...batch } = CreateBatchSchema.properties;

const Cron = Type.String({
  minLength: 1,
  maxLength: 256,
  description:
    'Cron expression: five fields (minute, hour, day, month, weekday), or @hourly, @daily, @weekly, @monthly.',
  examples: ['0 3 * * MON-FRI'],
});
const TimeZone = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'The IANA time zone of `cron`. Default: UTC.',
  examples: ['Europe/Berlin'],
});
const Overlap = Type.Enum([...OVERLAPS], {
  description:
    'How a tick is handled while the previous run is unfinished: it is skipped, it waits, or it cancels that run.',
  examples: ['skip'],
});
const CatchUp = Type.Boolean({
  description: 'Whether one run is started later for ticks that were missed because no server was running.',
  examples: [false],
});
const Name = Type.String({
  pattern: NOT_EMPTY_NO_NUL,
  maxLength: 255,
  description: 'Name for people.',
  examples: ['nightly backup'],
});
const Paused = Type.Boolean({
  description: 'Whether it is paused: it starts no runs until it is resumed.',
  examples: [false],
});

/** All optional here: the route checks that a create has either. */
const timing = {
  cron: Type.Optional(Cron),
  every: Type.Optional(
    Type.String({
      pattern: INTERVAL_PATTERN,
      maxLength: 64,
      description: 'The interval, in place of `cron`: seconds, or such as 1h30m; at most a year.',
      examples: ['15m'],
    }),
  ),
  time_zone: Type.Optional(TimeZone),
};
const options = {
  name: Type.Optional(Name),
  ...timing,
  overlap: Type.Optional(Overlap),
  catch_up: Type.Optional(CatchUp),
  paused: Type.Optional(Paused),
};

export const CreateScheduleSchema = Type.Object(
  { ...options, selector, ...batch },
  { ...strict, description: 'The command, its machines and its times: either cron or every.' },
);
export type CreateSchedule = Static<typeof CreateScheduleSchema>;

export const UpdateScheduleSchema = Type.Partial(CreateScheduleSchema, {
  ...strict,
  description: 'The fields to change. `command` replaces all fields of the command: env, stdin, cwd and the others.',
});
export type UpdateSchedule = Static<typeof UpdateScheduleSchema>;

export const ScheduleSchema = Type.Object(
  {
    schedule_id: Type.String({ description: 'The schedule.', examples: ['sched-V1StGXR8Z5jdHi6B'] }),
    name: Type.Optional(Name),
    cron: Type.Optional(Cron),
    time_zone: Type.Optional(TimeZone),
    every_seconds: Type.Optional(
      Type.Integer({ minimum: 1, description: 'The interval, in place of `cron`.', examples: [900] }),
    ),
    selector,
    overlap: Overlap,
    catch_up: CatchUp,
    max_concurrency: Type.Integer({
      description: 'Maximum number of unfinished executions of a run at a time.',
      examples: [10],
    }),
    max_failures: batch.max_failures,
    command: batch.command,
    env_keys: Type.Optional(
      Type.Array(Type.String(), { description: 'The names of its env.', examples: [['BACKUP_KEY']] }),
    ),
    cwd: batch.cwd,
    user: batch.user,
    timeout_ms: batch.timeout_ms,
    paused: Paused,
    paused_reason: Type.Optional(
      Type.String({
        description: 'by_request, or key_revoked: the API key of its creator was revoked.',
        examples: ['by_request'],
      }),
    ),
    created_at: Time('When it was created.'),
    next_run_at: Type.Optional(Time('When it is due next; absent if it has no next run.')),
    next_runs: Type.Optional(
      Type.Array(Time('When it is due.'), {
        description: 'Only with next_runs: the times at which it is due next.',
        examples: [['2026-01-31T12:00:00.000Z']],
      }),
    ),
  },
  { description: 'A command that runs on machines repeatedly.' },
);
export type ScheduleWire = Static<typeof ScheduleSchema>;

export const ScheduleListSchema = Type.Object(
  { items: Type.Array(ScheduleSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of schedules.' },
);

export const SCHEDULE_ID_PATTERN = '^sched-[A-Za-z0-9]{1,64}$';
export const ScheduleParams = Type.Object({
  schedule_id: Type.String({
    pattern: SCHEDULE_ID_PATTERN,
    description: 'The schedule.',
    examples: ['sched-V1StGXR8Z5jdHi6B'],
  }),
});
export const ScheduleQuery = Type.Object({
  next_runs: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: 'Number of next runs to include.',
      examples: [5],
    }),
  ),
});

/** The timing of a schedule that is not created. */
export const PreviewScheduleSchema = Type.Object(timing, { ...strict, description: 'When: either cron or every.' });
export const SchedulePreviewSchema = Type.Object(
  {
    next_runs: Type.Array(Time('When it would be due.'), {
      description: 'The next ten, or fewer.',
      examples: [['2026-01-31T12:00:00.000Z']],
    }),
  },
  { description: 'The times of a schedule that is not created.' },
);
export type SchedulePreviewWire = Static<typeof SchedulePreviewSchema>;
