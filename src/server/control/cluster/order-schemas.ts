/** Orders from one server to another through the database. The receiver checks them. */
import { type Static, Type } from 'typebox';
import { TerminalSizeSchema } from '../../../core/launch-options.ts';
import { StdinWriterSchema, UsagePayloadSchema } from '../../../core/protocol.ts';
import { Compile } from 'typebox/schema';

const AskSchema = Type.Union([
  Type.Object({ kind: Type.Literal('resize'), execution_id: Type.String(), ...TerminalSizeSchema.properties }),
  Type.Object({ kind: Type.Literal('signal'), execution_id: Type.String(), signal: Type.String() }),
  Type.Object({
    kind: Type.Literal('stdin'),
    execution_id: Type.String(),
    offset: Type.Optional(Type.Integer({ minimum: 0 })),
    close: Type.Boolean(),
  }),
  /** A kind of its own: an earlier version, which would write the bytes of a repeated order twice, does not know it. */
  Type.Object({
    kind: Type.Literal('numbered_stdin'),
    execution_id: Type.String(),
    writer: StdinWriterSchema,
    close: Type.Boolean(),
  }),
  Type.Object({ kind: Type.Literal('usage'), execution_id: Type.String() }),
  Type.Object({ kind: Type.Literal('rotate'), join_token: Type.String() }),
  Type.Object({ kind: Type.Literal('credential_changed') }),
  Type.Object({ kind: Type.Literal('machine_removed') }),
  Type.Object({ kind: Type.Literal('output_limited'), execution_id: Type.String() }),
  Type.Object({
    kind: Type.Literal('terminal_limit'),
    execution_id: Type.String(),
    /** Absent: no client on the server that sent the order limits the output. */
    offset: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Number of clients on that server. Absent: it has an earlier version. */
    clients: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  Type.Object({ kind: Type.Literal('detach') }),
  Type.Object({ kind: Type.Literal('probe') }),
]);
export type Ask = Static<typeof AskSchema>;

/** `from`: the server that waits for the answer. */
const OrderBodySchema = Type.Object({ from: Type.Integer(), ask: AskSchema });
export type OrderBody = Static<typeof OrderBodySchema>;

const AnswerSchema = Type.Union([
  Type.Object({ outcome: Type.Literal('written'), offset: Type.Integer(), closed: Type.Boolean() }),
  Type.Object({ outcome: Type.Literal('interrupted'), offset: Type.Integer({ minimum: 0 }) }),
  Type.Object({ outcome: Type.Literal('usage'), usage: Type.Optional(UsagePayloadSchema) }),
  Type.Object({
    outcome: Type.Union([
      Type.Literal('sent'),
      Type.Literal('done'),
      Type.Literal('agent_away'),
      Type.Literal('not_open'),
      Type.Literal('not_running'),
      Type.Literal('bad_offset'),
      Type.Literal('no_writers'),
      Type.Literal('unknown'),
      Type.Literal('busy'),
      Type.Literal('full'),
    ]),
    /** With `agent_away`: the order was understood. Earlier versions answer `agent_away` to orders that they do not know. */
    understood: Type.Optional(Type.Literal(true)),
  }),
]);
export type Answer = Static<typeof AnswerSchema>;

const orderBody = Compile(OrderBodySchema);
const answer = Compile(AnswerSchema);

/** `undefined` for an order that a server of another version may send and this one does not know. */
export function readOrderBody(body: unknown): OrderBody | undefined {
  return orderBody.Check(body) ? (body as OrderBody) : undefined;
}

/** Parses the answer to an order. `undefined` if it is malformed. */
export function readAnswer(value: unknown): Answer | undefined {
  return answer.Check(value) ? (value as Answer) : undefined;
}
