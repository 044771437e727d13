/** The execution in the HTTP API, and the request that creates it. */
import { type Static, Type } from 'typebox';
import { FAILURE_CODES } from '../core/execution-status.ts';
import { ArtifactEntrySchema, DeclaredArtifacts } from './artifact.ts';
import {
  Bytes,
  CommandUser,
  Encoding,
  Environment,
  ExecutionId,
  Include,
  LabelQuery,
  ListQuery,
  MachineId,
  MAX_SPAN_MS,
  NextCursor,
  pageQuery,
  ReasonSchema,
  Status,
  Tail,
  Time,
  WaitMs,
  RetryAfterMs,
} from './fields.ts';
import { ExecutionOutputSchema } from './output.ts';
import { HTTP_URL_PATTERN, NO_NUL } from './patterns.ts';
import { ResizeSchema } from './terminal.ts';

const strict = { additionalProperties: false } as const;

const UsageSchema = Type.Object(
  {
    cpu_user_ms: Type.Integer({ minimum: 0, description: 'Processor time in the program, in ms.', examples: [120] }),
    cpu_system_ms: Type.Integer({ minimum: 0, description: 'Processor time in the kernel, in ms.', examples: [30] }),
    max_memory_bytes: Bytes('Peak memory; without a memory controller, that of the largest process.'),
    io_read_bytes: Type.Optional(Bytes('Bytes read from block devices.')),
    io_write_bytes: Type.Optional(Bytes('Bytes written to block devices.')),
  },
  { description: 'Resource usage of all processes of the command together.' },
);

const LimitsSchema = Type.Object(
  {
    memory_bytes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'Memory.', examples: [536_870_912] }),
    ),
    cpus: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 100_000,
        description: 'Number of processors; may be a fraction.',
        examples: [1.5],
      }),
    ),
    pids: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 4_194_304,
        description: 'Number of processes and threads.',
        examples: [256],
      }),
    ),
  },
  { ...strict, description: 'Limits for all processes of the command together.' },
);

export const ExecutionSchema = Type.Object(
  {
    execution_id: ExecutionId,
    machine_id: MachineId,
    status: Status,
    command: Type.Array(Type.String(), { description: 'The argv as given.', examples: [['uname', '-a']] }),
    created_at: Time('When it was created.'),
    started_at: Type.Optional(Time('When the process was started.')),
    completed_at: Type.Optional(Time('When it ended.')),
    cwd: Type.Optional(Type.String({ description: 'The working directory as requested.', examples: ['/srv/app'] })),
    env_keys: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Names of the given environment variables, sorted. Values are never returned.',
        examples: [['API_TOKEN', 'STAGE']],
      }),
    ),
    exit_code: Type.Optional(
      Type.Integer({ description: 'Exit code, if the process exited by itself.', examples: [0] }),
    ),
    signal: Type.Optional(Type.Integer({ description: 'Number of the signal, if one ended it.', examples: [9] })),
    error_code: Type.Optional(
      Type.Enum([...FAILURE_CODES], {
        description: 'Error code, if it ended without success.',
        examples: ['nonzero_exit'],
      }),
    ),
    error_message: Type.Optional(
      Type.String({ description: 'The error in words.', examples: ['The command exited with code 1.'] }),
    ),
    expires_at: Time('When it expires if it has not started.'),
    retry_after_ms: Type.Optional(RetryAfterMs),
    stdout_bytes: Type.Optional(Bytes('Bytes written to stdout, including any not kept.')),
    stderr_bytes: Type.Optional(Bytes('Bytes written to stderr, including any not kept.')),
    stdout_truncated: Type.Optional(
      Type.Boolean({ description: 'Some bytes of stdout were not kept.', examples: [false] }),
    ),
    stderr_truncated: Type.Optional(
      Type.Boolean({ description: 'Some bytes of stderr were not kept.', examples: [false] }),
    ),
    artifacts: Type.Optional(Type.Array(ArtifactEntrySchema, { description: 'Its artifacts, by name.' })),
    output: Type.Optional(ExecutionOutputSchema),
    usage: Type.Optional(UsageSchema),
    reason: Type.Optional(ReasonSchema),
  },
  {
    description:
      'A command on a machine, and its result. `output` and `usage` are present only with `include=output,usage`, after the end; `reason` with `include=reason`.',
  },
);
export type ExecutionWire = Static<typeof ExecutionSchema>;

export const ExecutionListSchema = Type.Object(
  { items: Type.Array(ExecutionSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of executions.' },
);

export const CreateExecutionSchema = Type.Object(
  {
    command: Type.Array(Type.String({ pattern: NO_NUL }), {
      minItems: 1,
      maxItems: 1_000_000,
      description: 'The argv. No shell runs: the first element is looked up in PATH, and nothing is split or expanded.',
      examples: [['sh', '-c', 'echo hello']],
    }),
    stdin: Type.Optional(
      Type.String({ description: 'Written to stdin, which is then closed.', examples: ['one line\n'] }),
    ),
    env: Type.Optional(Environment),
    cwd: Type.Optional(
      Type.String({
        pattern: NO_NUL,
        description: "Working directory; relative ones start at the agent user's home, which is the default.",
        examples: ['/srv/app'],
      }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Time from process start, after which the whole process tree is killed. 0: no limit.',
        examples: [60_000],
      }),
    ),
    stdin_encoding: Type.Optional(
      Type.Enum(['utf8', 'base64'], { description: 'The encoding of `stdin`.', examples: ['base64'] }),
    ),
    stdin_open: Type.Optional(
      Type.Boolean({ description: 'Keep stdin open for POST …/stdin. Not together with `stdin`.', examples: [true] }),
    ),
    start_within_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_SPAN_MS,
        description: 'The execution expires if it has not started within this time, in ms.',
        examples: [300_000],
      }),
    ),
    user: Type.Optional(CommandUser),
    tty: Type.Optional(ResizeSchema),
    limits: Type.Optional(LimitsSchema),
    output_mode: Type.Optional(
      Type.Enum(['keep', 'stream'], {
        description:
          'keep (the default): the first bytes of each stream are kept, up to a limit. stream: every byte is kept until it is read and released; if too many bytes are unread, the command waits.',
        examples: ['stream'],
      }),
    ),
    artifacts: Type.Optional(DeclaredArtifacts),
    callback_url: Type.Optional(
      Type.String({
        pattern: HTTP_URL_PATTERN,
        maxLength: 2048,
        description: 'The finished Execution is POSTed to this URL, signed according to Standard Webhooks.',
        examples: ['https://example.com/hooks/execplane'],
      }),
    ),
  },
  { ...strict, description: 'The command to run.' },
);
export type CreateExecution = Static<typeof CreateExecutionSchema>;

/** Query parameters of the requests that return one Execution: create, get, cancel. */
export const ExecutionQuery = Type.Object({
  wait_ms: WaitMs,
  include: Include(
    ['output', 'tail', 'usage', 'reason'],
    '`output`: once the execution has ended; `usage`: so far, from its start on; `tail` is for `output`: the end of a stream that is truncated. `reason`: why it is in its state.',
  ),
  encoding: Encoding,
  tail: Tail,
});
export type ExecutionQuery = Static<typeof ExecutionQuery>;

export const AllExecutionsQuery = Type.Object({
  ...ListQuery.properties,
  status: Type.Optional(Status),
  since: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'Only executions created at this time or later.',
      examples: ['2026-01-31T12:00:00.000Z'],
    }),
  ),
  label: LabelQuery,
});

export const ExecutionListQuery = Type.Object({ ...ListQuery.properties, status: Type.Optional(Status) });

export const ExecutionEventSchema = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1, description: 'Rises by 1 from 1.', examples: [2] }),
    type: Type.Enum(['lifecycle', 'stdout', 'stderr'], { description: 'The type of the event.', examples: ['stdout'] }),
    at: Time("When the agent saw it, on the server's clock."),
    chunk: Type.Optional(Type.String({ description: 'Output.', examples: ['hello\n'] })),
    status: Type.Optional(Status),
    exit_code: ExecutionSchema.properties.exit_code,
    signal: ExecutionSchema.properties.signal,
    error_code: ExecutionSchema.properties.error_code,
    error_message: ExecutionSchema.properties.error_message,
  },
  { description: 'An entry in the log of an execution.' },
);
export type ExecutionEventWire = Static<typeof ExecutionEventSchema>;

export const ExecutionEventListSchema = Type.Object(
  { items: Type.Array(ExecutionEventSchema, { description: 'Oldest first.' }), next_cursor: NextCursor },
  { description: 'A page of events; it has next_cursor while more events exist or may still come.' },
);

export const EventsQuery = Type.Object({ ...pageQuery(100, 1000), wait_ms: WaitMs, encoding: Encoding });
export type EventsQuery = Static<typeof EventsQuery>;
