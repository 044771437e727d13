/** Requests of the console besides the public API: its session and its overview. */
import { type Static, Type } from 'typebox';
import { MachineId, NextCursor, SCOPES, Time } from './fields.ts';

export const SignInSchema = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 4096, description: 'An API key.', examples: ['xpk_…'] }) },
  { additionalProperties: false, description: 'The API key of a new session.' },
);

/** The reasons for a failed sign-in by name. */
export const SIGN_IN_PROBLEMS = ['no_access', 'provider_failed', 'took_too_long'] as const;
export type SignInProblem = (typeof SIGN_IN_PROBLEMS)[number];

export const SignInWaysSchema = Type.Object(
  {
    open_id_connect: Type.Optional(
      Type.Object({ provider: Type.String({ description: 'Its host.', examples: ['login.example.com'] }) }),
    ),
  },
  { description: 'The ways to sign in besides an API key.' },
);
export type SignInWays = Static<typeof SignInWaysSchema>;

export const ConsoleSessionSchema = Type.Object(
  {
    api_key_id: Type.String({ description: 'The id of the key of the session; `admin` for the admin key.' }),
    name: Type.Optional(Type.String({ description: 'The name of the key; absent for the admin key.' })),
    user: Type.Optional(Type.String({ description: 'The user who signed in through OpenID Connect.' })),
    scopes: Type.Array(Type.Enum([...SCOPES]), { description: 'Its scopes, including those that they imply.' }),
    machine_ids: Type.Optional(Type.Array(MachineId, { description: 'The only machines that it has access to.' })),
    expires_at: Time('When the session ends unless it is used.'),
    version: Type.String({ description: 'Version of the server.' }),
  },
  { description: 'A session of the console.' },
);
export type ConsoleSession = Static<typeof ConsoleSessionSchema>;

export const WaitingCallbackSchema = Type.Object(
  {
    machine_id: MachineId,
    execution_id: Type.String({ description: 'The execution whose end it reports.' }),
    url: Type.String({ description: 'The URL to which it is posted.' }),
    attempts: Type.Integer({ minimum: 0, description: 'The number of attempts so far.' }),
    created_at: Time('When the execution ended.'),
    due_at: Time('When it is tried next.'),
  },
  { description: 'A callback that is not delivered yet.' },
);
export type WaitingCallbackWire = Static<typeof WaitingCallbackSchema>;
export const WaitingCallbackListSchema = Type.Object(
  { items: Type.Array(WaitingCallbackSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of callbacks that are not delivered yet.' },
);

export const SPANS = ['hour', 'day', 'week'] as const;
export type Span = (typeof SPANS)[number];
export const OverviewQuery = Type.Object({
  span: Type.Enum([...SPANS], { default: 'hour', description: 'Time span of the chart.', examples: ['day'] }),
});

const Count = (description: string) => Type.Integer({ minimum: 0, description, examples: [3] });
const Counts = (description: string) => Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description });

export const ConsoleOverviewSchema = Type.Object(
  {
    machines: Counts('Number of machines, by phase.'),
    executions: Counts('Number of executions that wait or run, by status.'),
    oldest_waiting_at: Type.Optional(Time('Time since which the oldest one waits.')),
    failing_callbacks: Count('Callbacks that were tried more than once and are not delivered yet.'),
    step_ms: Count('Time span of each point of the chart, in ms.'),
    points: Type.Array(
      Type.Object({
        at: Time('Start of its time span.'),
        created: Count('Executions created in it.'),
        succeeded: Count('Executions that succeeded in it.'),
        failed: Count('Executions that failed, or expired, in it.'),
        cancelled: Count('Executions that were cancelled in it.'),
        start_p50_ms: Type.Optional(Count('Median time to start of the executions that ended in it, in ms.')),
        start_p95_ms: Type.Optional(Count('Likewise, of 95 %.')),
      }),
      { description: 'Oldest first, without a gap.' },
    ),
  },
  { description: 'The overview of the console.' },
);
export type ConsoleOverview = Static<typeof ConsoleOverviewSchema>;
