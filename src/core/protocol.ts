/**
 * The protocol between server and agent: every control frame in both directions, with its one parse and one encode. docs/PROTOCOL.md is
 * normative; both ends run this file. Output travels as records (report.ts).
 */
import { type Static, Type } from 'typebox';
import { byType, type Parsed, parse } from './frame-checks.ts';
import { LimitsSchema, StartArtifactsSchema, TerminalSizeSchema, TextWithoutNul } from './launch-options.ts';
import { LabelsSchema, NO_NUL } from './machines/labels.ts';
import { HostSchema, MachineFactsSchema } from './machines/machine-facts.ts';

/** The versions that this build speaks: the highest version that both ends share is used. */
export const PROTOCOL_VERSION = { min: 1, max: 1 } as const;

/** Our own WebSocket close codes (4000-4999 are free for applications, RFC 6455 §7.4.2). */
export const CLOSE = {
  /** The server stops or restarts: reconnect (RFC 6455 registry: Service Restart). */
  restart: 1012,
  /** A message is larger than either side accepts. */
  tooLarge: 1009,
  /** A frame that is malformed, or not legal here: a fault of the peer. */
  badFrame: 4400,
  /** The credential was revoked or replaced while connected. */
  revoked: 4401,
  /** A report on an execution that is not this machine's. */
  foreignExecution: 4403,
  /** No protocol version in common. */
  version: 4406,
  /** No hello in time, or silence for two heartbeats. */
  timeout: 4408,
  /** Another runner instance with this credential is connected. */
  duplicate: 4409,
  /** The machine was removed. */
  removed: 4410,
  /** This instance has a new connection, which replaces this one. */
  replaced: 4411,
  /** Too many frames in too short a time. */
  tooManyFrames: 4429,
} as const;

const ExecutionId = Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$', maxLength: 253 });
/** Text of up to `maxLength` characters that every database can store. */
const Text = (maxLength: number) => Type.String({ pattern: NO_NUL, maxLength });
const Instance = Type.String({ pattern: '^[^\\u0000]+$', maxLength: 64 });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const strict = { additionalProperties: false } as const;
/** Frames may gain fields in a later minor version. Unknown fields are ignored. */
const open = {} as const;

/** An execution that the runner has and the server has not yet acknowledged completely. */
const HeldSchema = Type.Object(
  {
    execution_id: ExecutionId,
    /** waiting: accepted, not started; running; ended: only its reports are left. */
    state: Type.Union([Type.Literal('waiting'), Type.Literal('running'), Type.Literal('ended')]),
    /** The highest report number written to the journal; 0 for none. */
    reported: Count,
  },
  open,
);
export type Held = Static<typeof HeldSchema>;

/** agent → server, the first frame of a connection. */
export const HelloSchema = Type.Object(
  {
    type: Type.Literal('hello'),
    protocol: Type.Object({ min: Type.Integer({ minimum: 1 }), max: Type.Integer({ minimum: 1 }) }, open),
    version: Text(64),
    runner_instance: Instance,
    boot_id: Text(64),
    /** The highest dispatch number that this runner instance has accepted. Starts with a higher one never arrived. */
    last_dispatch_number: Count,
    /** The runner's clock, ms since the epoch, when it made this frame. */
    clock_ms: Type.Number(),
    max_concurrency: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    facts: MachineFactsSchema,
    host: Type.Optional(HostSchema),
    /** The labels in the agent's settings. */
    labels: Type.Optional(LabelsSchema),
    held: Type.Array(HeldSchema, { maxItems: 100_000 }),
    /** Capabilities of the runner beyond the first release of this protocol version, such as `output_limit`. */
    features: Type.Optional(Type.Array(Text(64), { maxItems: 64 })),
  },
  open,
);
export type Hello = Static<typeof HelloSchema>;

/** agent → server: whether new work is accepted (not while it stops, or its disk is full). */
const CapacitySchema = Type.Object(
  {
    type: Type.Literal('capacity'),
    accepting: Type.Boolean(),
    reason: Type.Optional(Type.Union([Type.Literal('stopping'), Type.Literal('disk_full')])),
  },
  open,
);
export type Capacity = Static<typeof CapacitySchema>;

const stdinFields = { execution_id: ExecutionId, offset: Count };
/** One of several clients that write a live stdin, and the position of a byte among its own bytes. */
export const StdinWriterSchema = Type.Object({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{16,64}$' }), offset: Count });
export type StdinWriter = Static<typeof StdinWriterSchema>;
/** The runner has all bytes of the writer before `offset`, and they end at `end` of the whole stdin. */
const WriterPosition = Type.Object({ ...StdinWriterSchema.properties, end: Count });

/** agent → server: how much of a live stdin the runner has taken over, in bytes from its start. `writer`: that of the frame it answers. */
const StdinAckSchema = Type.Object(
  { type: Type.Literal('stdin_ack'), ...stdinFields, closed: Type.Boolean(), writer: Type.Optional(WriterPosition) },
  open,
);
export type StdinAck = Static<typeof StdinAckSchema>;

/** The usage of a command and its processes, as measured by the runner. */
export const UsagePayloadSchema = Type.Object(
  {
    cpu_user_ms: Count,
    cpu_system_ms: Count,
    max_memory_bytes: Count,
    io_read_bytes: Type.Optional(Count),
    io_write_bytes: Type.Optional(Count),
  },
  open,
);

/** agent → server, the answer to `usage_query`: what the command has used so far. Without `usage` if it does not run, or nothing is known. */
const UsageFrameSchema = Type.Object(
  {
    type: Type.Literal('usage'),
    execution_id: ExecutionId,
    usage: Type.Optional(UsagePayloadSchema),
  },
  open,
);
export type UsageFrame = Static<typeof UsageFrameSchema>;

export const AgentFrameSchema = Type.Union([HelloSchema, CapacitySchema, StdinAckSchema, UsageFrameSchema]);
export type AgentFrame = Static<typeof AgentFrameSchema>;

/** One hour. Timers of Node.js run at once for more than 24 days. */
const MAX_HEARTBEAT_MS = 3_600_000;

/** server → agent, the answer to hello. */
const WelcomeSchema = Type.Object(
  {
    type: Type.Literal('welcome'),
    protocol: Type.Integer({ minimum: 1 }),
    version: Type.String({ maxLength: 64 }),
    heartbeat_ms: Type.Integer({ minimum: 100, maximum: MAX_HEARTBEAT_MS }),
    /** Bytes of records that the agent may have sent without acknowledgement: in total, and per execution. */
    window_bytes: Type.Integer({ minimum: 1 }),
    execution_window_bytes: Type.Integer({ minimum: 1 }),
    /** For held executions that still matter: the number up to which their reports are on the server's disk. */
    acks: Type.Array(Type.Tuple([ExecutionId, Count])),
    /** Held executions that have ended or are unknown on the server: end their commands, drop their reports. */
    forget: Type.Array(ExecutionId),
  },
  open,
);
export type Welcome = Static<typeof WelcomeSchema>;

/** Handling of output past the limit: `discard` counts it and drops it, `wait` blocks the command in its write. */
const PastLimit = Type.Union([Type.Literal('discard'), Type.Literal('wait')]);

/** server → agent: run a command. The bytes attached to the frame are its stdin. */
const StartSchema = Type.Object(
  {
    type: Type.Literal('start'),
    execution_id: ExecutionId,
    /** Only this runner instance may run it. */
    runner_instance: Instance,
    /** Rises per machine with every dispatch. */
    dispatch_number: Type.Integer({ minimum: 1 }),
    command: Type.Array(TextWithoutNul, { minItems: 1 }),
    env: Type.Optional(Type.Record(Type.String({ pattern: '^[^=\\u0000]+$' }), TextWithoutNul, strict)),
    cwd: Type.Optional(TextWithoutNul),
    user: Type.Optional(TextWithoutNul),
    /** ms from process start. Absent: no limit. */
    timeout_ms: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    /** Bytes of each stream to keep. */
    max_output_bytes: Count,
    past_limit: Type.Optional(PastLimit),
    /** Bytes of the end of each stream to report once it exceeds the kept part. Absent: none. */
    tail_bytes: Type.Optional(Count),
    /** stdin: none (end-of-file), fixed (the attached bytes), open (fed by stdin frames). */
    stdin: Type.Union([Type.Literal('none'), Type.Literal('fixed'), Type.Literal('open')]),
    /** Run it on a terminal of this size; its output is stdout. Only to agents with the capability `terminals`. */
    tty: Type.Optional(TerminalSizeSchema),
    /** command is one word, the shell (empty: the user's own), and is run as a login shell. With `tty`. */
    login_shell: Type.Optional(Type.Boolean()),
    /** Only to agents with the capability `limits`. */
    limits: Type.Optional(LimitsSchema),
    grace_ms: Count,
    /** Files to collect at the end. Absent: none, and the command has no drop folder. */
    artifacts: Type.Optional(StartArtifactsSchema),
  },
  open,
);
export type Start = Static<typeof StartSchema>;

/** server → agent: SIGTERM, and SIGKILL to the tree after the grace. Repeats are harmless. */
const CancelSchema = Type.Object({ type: Type.Literal('cancel'), execution_id: ExecutionId, grace_ms: Count }, open);

/** server → agent: send this signal (its name, such as `SIGHUP`) to the command's process group, if it runs. */
const SignalSchema = Type.Object(
  { type: Type.Literal('signal'), execution_id: ExecutionId, signal: Type.String({ maxLength: 16 }) },
  open,
);

/**
 * server → agent: the attached bytes belong at `offset` of the live stdin. Bytes that the runner has are skipped. With `writer` they belong there
 * among this writer's bytes instead, and follow everything that the runner has. Only to agents with the capability `stdin_writers`.
 */
const StdinSchema = Type.Object(
  { type: Type.Literal('stdin'), ...stdinFields, close: Type.Boolean(), writer: Type.Optional(StdinWriterSchema) },
  open,
);
export type Stdin = Static<typeof StdinSchema>;

/** server → agent: each stream may go up to this offset, counted from its start. Limits only rise. */
const OutputLimitSchema = Type.Object(
  {
    type: Type.Literal('output_limit'),
    execution_id: ExecutionId,
    stdout: Count,
    stderr: Count,
    past_limit: PastLimit,
  },
  open,
);
export type OutputLimit = Static<typeof OutputLimitSchema>;
/** server → agent: the terminal of the command has this size now. Ignored for commands without a terminal. */
const ResizeSchema = Type.Object(
  { type: Type.Literal('resize'), execution_id: ExecutionId, ...TerminalSizeSchema.properties },
  open,
);

/** server → agent: asks for the usage of a command so far. Only to agents with the capability `usage`. */
const UsageQuerySchema = Type.Object({ type: Type.Literal('usage_query'), execution_id: ExecutionId }, open);

/** server → agent: reports up to these numbers are on disk. */
const AckSchema = Type.Object({ type: Type.Literal('ack'), acks: Type.Array(Type.Tuple([ExecutionId, Count])) }, open);
export type Ack = Static<typeof AckSchema>;

/** server → agent: the server needs no reports of these executions: end their commands, drop their reports. */
const ForgetSchema = Type.Object({ type: Type.Literal('forget'), execution_ids: Type.Array(ExecutionId) }, open);
export type Forget = Static<typeof ForgetSchema>;

/** server → agent: enrol again with this join token, which is bound to the machine. It revokes the present credential. */
const RotateSchema = Type.Object({ type: Type.Literal('rotate'), join_token: Type.String({ maxLength: 256 }) }, open);

export const ServerFrameSchema = Type.Union([
  WelcomeSchema,
  StartSchema,
  CancelSchema,
  SignalSchema,
  StdinSchema,
  OutputLimitSchema,
  ResizeSchema,
  UsageQuerySchema,
  AckSchema,
  ForgetSchema,
  RotateSchema,
]);
export type ServerFrame = Static<typeof ServerFrameSchema>;

/** Paths at which agents enrol (HTTP POST) and connect (WebSocket, `Authorization: Bearer CREDENTIAL`). */
export const AGENT_PATHS = { enrol: '/agent/v1/enrol', link: '/agent/v1/link' } as const;

const NOTHING = Buffer.alloc(0);
const agentFrame = byType(AgentFrameSchema.anyOf);
const serverFrame = byType(ServerFrameSchema.anyOf);

/** Parses a text message from an agent. */
export function parseAgentFrame(text: string): Parsed<AgentFrame> {
  return parse<AgentFrame>(text, agentFrame, NOTHING);
}

/** Parses a message from the server: text, or binary for a frame with bytes attached. */
export function parseServerFrame(data: string | Buffer): Parsed<ServerFrame> {
  if (typeof data === 'string') return parse<ServerFrame>(data, serverFrame, NOTHING);
  if (data.length < 4) return { ok: false, reason: 'a binary message of under 4 bytes' };
  const end = 4 + data.readUInt32LE(0);
  if (end > data.length) return { ok: false, reason: 'a frame longer than its message' };
  return parse<ServerFrame>(data.toString('utf8', 4, end), serverFrame, data.subarray(end));
}

/** Encodes a frame as a text message. */
export function encodeFrame(frame: AgentFrame | ServerFrame): string {
  return JSON.stringify(frame);
}

/** Encodes a frame with bytes attached as a binary message: u32 length of the JSON, the JSON, the bytes. */
export function encodeFrameWith(frame: ServerFrame, attachment: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(frame));
  const bytes = Buffer.allocUnsafe(4 + json.length + attachment.length);
  bytes.writeUInt32LE(json.length, 0);
  bytes.set(json, 4);
  bytes.set(attachment, 4 + json.length);
  return bytes;
}
