/** What the console asks of its server besides the API: who is signed in, and what its overview shows. */
import { type Static, Type } from 'typebox';
import { MachineId, SCOPES, Time } from './fields.ts';

export const SignInSchema = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 4096, description: 'An API key.', examples: ['xpk_…'] }) },
  { additionalProperties: false, description: 'What a session is made of.' },
);

/** Why signing in by name did not work. */
export const SIGN_IN_PROBLEMS = ['no_access', 'provider_failed', 'took_too_long'] as const;
export type SignInProblem = (typeof SIGN_IN_PROBLEMS)[number];

export const SignInWaysSchema = Type.Object(
  {
    open_id_connect: Type.Optional(
      Type.Object({ provider: Type.String({ description: 'Its host.', examples: ['login.example.com'] }) }),
    ),
  },
  { description: 'How people sign in besides with an API key.' },
);
export type SignInWays = Static<typeof SignInWaysSchema>;

export const ConsoleSessionSchema = Type.Object(
  {
    api_key_id: Type.String({ description: 'The key behind the session; `admin` for the admin key.' }),
    name: Type.Optional(Type.String({ description: 'The name of the key; absent for the admin key.' })),
    user: Type.Optional(Type.String({ description: 'Who signed in through OpenID Connect.' })),
    scopes: Type.Array(Type.Enum([...SCOPES]), { description: 'What it allows, with all that its scopes imply.' }),
    machine_ids: Type.Optional(Type.Array(MachineId, { description: 'The only machines that it may touch.' })),
    expires_at: Time('When the session ends unless it is used.'),
    version: Type.String({ description: 'Of the server.' }),
  },
  { description: 'Who is signed in to the console.' },
);
export type ConsoleSession = Static<typeof ConsoleSessionSchema>;

export const SPANS = ['hour', 'day', 'week'] as const;
export type Span = (typeof SPANS)[number];
export const OverviewQuery = Type.Object({
  span: Type.Enum([...SPANS], { default: 'hour', description: 'How far back the chart goes.', examples: ['day'] }),
});

const Count = (description: string) => Type.Integer({ minimum: 0, description, examples: [3] });
const Counts = (description: string) => Type.Record(Type.String(), Type.Integer({ minimum: 0 }), { description });

export const ConsoleOverviewSchema = Type.Object(
  {
    machines: Counts('How many machines there are, by phase.'),
    executions: Counts('How many executions wait or run, by status.'),
    oldest_waiting_at: Type.Optional(Time('Since when the oldest one waits.')),
    failing_callbacks: Count('Callbacks that were tried more than once and are still to be delivered.'),
    step_ms: Count('What each point of the chart spans, in ms.'),
    points: Type.Array(
      Type.Object({
        at: Time('Where its span begins.'),
        created: Count('Executions created in it.'),
        succeeded: Count('Executions that succeeded in it.'),
        failed: Count('Executions that failed, or expired, in it.'),
        cancelled: Count('Executions that were cancelled in it.'),
        start_p50_ms: Type.Optional(Count('Half of those that ended in it had started within this time, in ms.')),
        start_p95_ms: Type.Optional(Count('Likewise, of 95 %.')),
      }),
      { description: 'Oldest first, without a gap.' },
    ),
  },
  { description: 'What the overview of the console shows.' },
);
export type ConsoleOverview = Static<typeof ConsoleOverviewSchema>;
