/** Terminals in the HTTP API. */
import { type Static, Type } from 'typebox';
import { FAILURE_CODES } from '../core/execution-status.ts';
import {
  CommandUser,
  Environment,
  Include,
  ListQuery,
  MachineId,
  NextCursor,
  ReasonSchema,
  RetryAfterMs,
  Time,
} from './fields.ts';
import { EXECUTION_ID_PATTERN, NO_NUL, NOT_EMPTY_NO_NUL } from './patterns.ts';

const strict = { additionalProperties: false } as const;

/** The size of a terminal. */
const side = (description: string, example: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, description, examples: [example] });

const TerminalSizeFields = {
  width: side('Columns; 0: not known.', 80),
  height: side('Rows; 0: not known.', 24),
};

export const ResizeSchema = Type.Object(TerminalSizeFields, {
  additionalProperties: false,
  description: 'The size of a terminal, in characters.',
});

export const TERMINAL_STATUSES = ['wake_in_progress', 'ready', 'closed', 'expired', 'failed'] as const;
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

const TerminalId = Type.String({
  pattern: EXECUTION_ID_PATTERN,
  minLength: 1,
  maxLength: 253,
  description: 'The terminal.',
  examples: ['term-m3k9x2qV1StGXR8Z5jdHi6B'],
});
export const TerminalParams = Type.Object({ machine_id: MachineId, terminal_id: TerminalId });
export const TerminalListQuery = ListQuery;
export const TerminalQuery = Type.Object({
  include: Include(['reason'], '`reason`: why it is in its state.'),
});

const streamUrl = Type.String({
  description: 'URL of the WebSocket of its stream.',
  examples: ['wss://execplane.example.com/v1/machines/dm-build-1/terminals/term-m3k9/stream'],
});

export const TerminalSchema = Type.Object(
  {
    terminal_id: TerminalId,
    machine_id: MachineId,
    status: Type.Enum([...TERMINAL_STATUSES], {
      description: 'The status of the terminal. The last three are ends.',
      examples: ['ready'],
    }),
    ...TerminalSizeFields,
    created_at: Time('When it was created.'),
    protocol: Type.Optional(
      Type.Literal('websocket', { description: 'The protocol of its stream.', examples: ['websocket'] }),
    ),
    stream_url: Type.Optional(streamUrl),
    ready_at: Type.Optional(Time('When its shell was started.')),
    expires_at: Type.Optional(Time('When it expires if it has not started.')),
    retry_after_ms: Type.Optional(RetryAfterMs),
    error_code: Type.Optional(
      Type.Enum([...FAILURE_CODES], { description: 'Error code, if it failed or expired.', examples: ['agent_lost'] }),
    ),
    reason: Type.Optional(ReasonSchema),
    error_message: Type.Optional(
      Type.String({ description: 'The error in words.', examples: ['The machine has no user deploy.'] }),
    ),
  },
  { description: 'A shell on a machine that outlives every connection to it.' },
);
export type TerminalWire = Static<typeof TerminalSchema>;

export const TerminalListSchema = Type.Object(
  { items: Type.Array(TerminalSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of terminals: those that run, and those that ended within 24 hours.' },
);

export const CreateTerminalSchema = Type.Object(
  {
    ...TerminalSizeFields,
    shell: Type.Optional(
      Type.String({
        pattern: NOT_EMPTY_NO_NUL,
        maxLength: 4096,
        description: "The program, run as a login shell; absent: the user's own shell.",
        examples: ['/bin/bash'],
      }),
    ),
    cwd: Type.Optional(
      Type.String({
        pattern: NO_NUL,
        maxLength: 4096,
        description: 'Directory in which the shell starts.',
        examples: ['/srv/app'],
      }),
    ),
    env: Type.Optional(Environment),
    user: Type.Optional(CommandUser),
  },
  { ...strict, description: 'The terminal to open.' },
);

export const TerminalTicketQuery = Type.Object({
  resume: Type.Optional(
    Type.Boolean({
      description: 'Also for an ended terminal: its stream, with offset, sends the rest of the output and the end.',
      examples: [true],
    }),
  ),
});

export const TerminalTicketSchema = Type.Object(
  { stream_url: streamUrl, expires_at: Time('When it expires.') },
  { description: 'A URL of the stream that needs no header and works once, for browsers.' },
);
export type TerminalTicketWire = Static<typeof TerminalTicketSchema>;
