/** Fields and parameters that several routes share. */
import { type Static, Type } from 'typebox';
import { EXECUTION_STATUSES } from '../core/execution-status.ts';
import { ENV_NAME, EXECUTION_ID_PATTERN, MACHINE_ID_PATTERN, NO_NUL, NOT_EMPTY_NO_NUL } from './patterns.ts';

/** Longest time span that a caller may request: ten years. */
export const MAX_SPAN_MS = 315_360_000_000;

export const SCOPES = ['executions:read', 'executions:write', 'machines:read', 'machines:write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export const MachineId = Type.String({
  pattern: MACHINE_ID_PATTERN,
  minLength: 4,
  maxLength: 253,
  description: 'The machine.',
  examples: ['dm-build-1'],
});

export const ExecutionId = Type.String({
  pattern: EXECUTION_ID_PATTERN,
  minLength: 1,
  maxLength: 253,
  description: 'The execution.',
  examples: ['exec-V1StGXR8Z5jdHi6B'],
});

export const Status = Type.Enum([...EXECUTION_STATUSES], {
  description: 'The status of the execution. The last four are ends.',
  examples: ['succeeded'],
});

/** An instant, in the format of every response. */
export const Time = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] });

/** The time after which to ask again for something that waits for its machine. */
export const RetryAfterMs = Type.Integer({
  minimum: 1,
  maximum: 60_000,
  description: 'While wake_in_progress: time after which to ask again, in ms.',
  examples: [1000],
});

/** A field with a number of bytes. */
export const Bytes = (description: string) => Type.Integer({ minimum: 0, description, examples: [2048] });

export const MachineParams = Type.Object({ machine_id: MachineId });
export const ExecutionParams = Type.Object({ machine_id: MachineId, execution_id: ExecutionId });

/** `?limit=` and `?cursor=` of a list. A limit above `maximum` is clamped. */
export const pageQuery = (fallback: number, maximum: number) => ({
  limit: Type.Integer({
    minimum: 1,
    maximum,
    default: fallback,
    description: `Items per page, or fewer if they are large. More than ${maximum} counts as ${maximum}.`,
    examples: [fallback],
  }),
  cursor: Type.Optional(
    Type.String({ description: 'next_cursor of the previous page.', examples: ['AAAAAAAAAAUq3vEN0Jk8Aw'] }),
  ),
});
export const ListQuery = Type.Object(pageQuery(50, 500));

export const WaitMs = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: 55_000,
    description: 'Time for which the answer may wait, in ms. More than 55000 counts as 55000.',
    examples: [30_000],
  }),
);

export const Encoding = Type.Optional(
  Type.Enum(['utf8', 'base64'], {
    description: 'base64: output byte for byte; utf8 (the default): bytes that are not UTF-8 read as U+FFFD.',
    examples: ['base64'],
  }),
);

export const Tail = Type.Optional(
  Type.Integer({ minimum: 0, description: 'Only this many last bytes of a stream.', examples: [4096] }),
);

/** All names that `include` has, on any route. */
const INCLUDES = ['name', 'labels', 'facts', 'provider', 'output', 'tail', 'usage', 'reason', 'command'] as const;
type Included = (typeof INCLUDES)[number];

/** `?include=` of a route that has the names `own`. Those of other routes are ignored: an SDK may add one `include` to all requests. */
export const Include = <const Name extends Included>(own: readonly Name[], description: string) =>
  Type.Optional(
    Type.Array(Type.Enum<Name[]>([...own]), {
      ignored: INCLUDES.filter((name) => !own.some((one) => one === name)),
      description: `Comma-separated: more fields for the answer. ${description}`,
      examples: [[...own]],
    }),
  );

export const NextCursor = Type.Optional(
  Type.String({ description: 'Cursor of the next page.', examples: ['AAAAAAAAAAUq3vEN0Jk8Aw'] }),
);

/** `?label=`, may be repeated: a machine has to match all. */
export const LabelQuery = Type.Optional(
  Type.Array(Type.String({ examples: ['role=web'] }), {
    explode: true,
    description:
      'Only machines with this label: key=value, or key alone. Given several times, a machine needs all of them.',
    examples: [['role=web']],
  }),
);

/** The variables that a caller sets for the command. */
export const Environment = Type.Record(Type.String({ pattern: ENV_NAME }), Type.String({ pattern: NO_NUL }), {
  additionalProperties: false,
  description: 'Added to a clean base environment. Sealed while it waits, erased at the end.',
  examples: [{ STAGE: 'test' }],
});

/** The user of the machine that a command or a shell runs as. */
export const CommandUser = Type.String({
  pattern: NOT_EMPTY_NO_NUL,
  maxLength: 256,
  description: 'Run as this user, if the agent is allowed to.',
  examples: ['deploy'],
});

/** `include=reason`: why something is in its state. */
export const ReasonSchema = Type.Object(
  {
    message: Type.String({
      description: 'The reason of the state.',
      examples: ['queued: all 64 slots of the machine are busy; position 3'],
    }),
    since: Time('Start of the state.'),
    until: Type.Optional(Time('When the state ends by itself.')),
    next: Type.Optional(
      Type.String({
        description: 'The event that ends the state.',
        examples: ['It starts when a command before it ends.'],
      }),
    ),
  },
  { description: 'The reason of its state: text for people. Present with `include=reason`.' },
);
export type ReasonWire = Static<typeof ReasonSchema>;
