/**
 * The frames between link and runner, as schemas. Both ends check received frames with the functions of schemas/checks.ts, which are generated
 * from these schemas, because the runner does not load the schema library. docs/PROTOCOL.md, "Runner socket".
 */
import { type Static, Type } from 'typebox';
import { AgentFrameSchema, HelloSchema, ServerFrameSchema } from '../../core/protocol.ts';

const Instance = Type.String({ minLength: 1, maxLength: 64 });
const Pid = Type.Integer({ minimum: 1 });

/** link → runner, first: the link's process, and the agent's settings. */
const AttachSchema = Type.Object({
  type: Type.Literal('attach'),
  /** The runner refuses a link of another version of this socket's protocol. */
  channel: Type.Integer({ minimum: 1 }),
  max_concurrency: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
});
export type Attach = Static<typeof AttachSchema>;

/** link → runner: the WebSocket is open. The runner sends its `state`, and no records until `welcome`. */
const PrepareSchema = Type.Object({ type: Type.Literal('prepare') });
/** link → runner: the WebSocket is closed. Records stay in the journal. */
const UnlinkedSchema = Type.Object({ type: Type.Literal('unlinked') });
/** link → runner: end all commands (SIGTERM, grace, SIGKILL), report their ends, then leave. */
const StopSchema = Type.Object({
  type: Type.Literal('stop'),
  grace_ms: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});

/** Frames that the link forwards. Only the link handles credentials, because commands may be able to read the runner's memory. */
const forRunner = ServerFrameSchema.anyOf.filter((schema) => schema.properties.type.const !== 'rotate');
type ForRunner = Exclude<Static<typeof ServerFrameSchema>, { type: 'rotate' }>;

export const LINK_TO_RUNNER_SCHEMAS = [AttachSchema, PrepareSchema, UnlinkedSchema, StopSchema, ...forRunner];
export type LinkToRunner =
  | Attach
  | Static<typeof PrepareSchema>
  | Static<typeof UnlinkedSchema>
  | Static<typeof StopSchema>
  | ForRunner;

/** runner → link, the answer to `attach`. */
const AttachedSchema = Type.Object({ type: Type.Literal('attached'), runner_instance: Instance, pid: Pid });
/** runner → link, instead of `attached`: another link is attached, or the channel versions differ. The runner then closes the socket. */
const AttachRefusedSchema = Type.Object({ type: Type.Literal('attach_refused'), reason: Type.String() });
/** runner → link, the answer to `prepare`: the runner's part of the hello. */
const StateSchema = Type.Object({
  type: Type.Literal('state'),
  ...Type.Pick(HelloSchema, ['runner_instance', 'boot_id', 'last_dispatch_number', 'clock_ms', 'held', 'features'])
    .properties,
});
export type State = Static<typeof StateSchema>;
/** runner → link: all commands have ended and their reports were acknowledged (or no server was there): the runner leaves now. */
const StoppedSchema = Type.Object({ type: Type.Literal('stopped') });

const fromRunner = AgentFrameSchema.anyOf.filter((schema) => schema.properties.type.const !== 'hello');
type FromRunner = Exclude<Static<typeof AgentFrameSchema>, { type: 'hello' }>;

export const RUNNER_TO_LINK_SCHEMAS = [AttachedSchema, AttachRefusedSchema, StateSchema, StoppedSchema, ...fromRunner];
export type RunnerToLink =
  | Static<typeof AttachedSchema>
  | Static<typeof AttachRefusedSchema>
  | State
  | Static<typeof StoppedSchema>
  | FromRunner;
