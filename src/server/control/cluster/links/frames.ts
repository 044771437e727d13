/**
 * Messages between two servers of a cluster: JSON, one a line. Both run the same version, so that they pass records on as they have them in
 * memory.
 */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/schema';
import type { Execution, Hint } from '../../../../store/store.ts';
import { CreateAnswerSchema, ForwardedCreateSchema } from './forwarded-create.ts';

/** A longer message is not sent: its subject goes through the database. */
export const MAX_FRAME_CHARS = 1_048_576;

/** The first message of each side. `to`: the server that it means to talk to, by its id in the database. */
const HelloSchema = Type.Object({
  type: Type.Literal('hello'),
  from: Type.Integer(),
  to: Type.Integer(),
  version: Type.String(),
});

const PeerFrameSchema = Type.Union([
  HelloSchema,
  /** A sign of life. */
  Type.Object({ type: Type.Literal('ping') }),
  /** Machines whose agents have connected to the sender, and machines whose agents have left it. */
  Type.Object({
    type: Type.Literal('places'),
    taken: Type.Array(Type.String()),
    left: Type.Array(Type.String()),
  }),
  Type.Object({
    type: Type.Literal('hints'),
    hints: Type.Array(Type.Unsafe<Hint>(Type.Object({ about: Type.String() }))),
  }),
  Type.Object({ type: Type.Literal('create'), id: Type.Integer(), create: ForwardedCreateSchema }),
  Type.Object({ type: Type.Literal('created'), id: Type.Integer(), answer: CreateAnswerSchema }),
  /** An execution that the receiver asked for, after a change of its status. */
  Type.Object({
    type: Type.Literal('changed'),
    execution: Type.Unsafe<Execution>(
      Type.Object({ executionId: Type.String(), status: Type.String(), lastSequence: Type.Integer() }),
    ),
  }),
]);
export type PeerHello = Static<typeof HelloSchema>;
export type PeerFrame = Static<typeof PeerFrameSchema>;

const frame = Compile(PeerFrameSchema);

/** Returns the line of a message. Undefined if it is too long. */
export function encodePeerFrame(message: PeerFrame): string | undefined {
  const line = `${JSON.stringify(message)}\n`;
  return line.length > MAX_FRAME_CHARS ? undefined : line;
}

/** Splits what arrives into messages. */
export class PeerFrameReader {
  #rest = '';

  /** Throws for a malformed message, and for one that is too long. */
  read(text: string): PeerFrame[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_FRAME_CHARS) throw new Error('a message of a server is too long');
    return lines.map(parse);
  }
}

function parse(line: string): PeerFrame {
  const message: unknown = JSON.parse(line);
  if (!frame.Check(message)) throw new Error('a message of a server is malformed');
  return message as PeerFrame;
}
