/** The event log of an execution, as it travels. */
import { type Static, Type } from 'typebox';
import { ExecutionSchema } from './execution.ts';
import { Encoding, NextCursor, pageQuery, Status, Time, WaitMs } from './fields.ts';

export const ExecutionEventSchema = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1, description: 'Rises by 1 from 1.', examples: [2] }),
    type: Type.Enum(['lifecycle', 'stdout', 'stderr'], { description: 'What happened.', examples: ['stdout'] }),
    at: Time("When the agent saw it, on the server's clock."),
    chunk: Type.Optional(Type.String({ description: 'Output.', examples: ['hello\n'] })),
    status: Type.Optional(Status),
    exit_code: ExecutionSchema.properties.exit_code,
    signal: ExecutionSchema.properties.signal,
    error_code: ExecutionSchema.properties.error_code,
    error_message: ExecutionSchema.properties.error_message,
  },
  { description: 'One entry of the log of an execution.' },
);
export type ExecutionEventWire = Static<typeof ExecutionEventSchema>;

export const ExecutionEventListSchema = Type.Object(
  { items: Type.Array(ExecutionEventSchema, { description: 'Oldest first.' }), next_cursor: NextCursor },
  { description: 'A page of events; it has next_cursor while more exist or may still come.' },
);

export const EventsQuery = Type.Object({ ...pageQuery(100, 1000), wait_ms: WaitMs, encoding: Encoding });
export type EventsQuery = Static<typeof EventsQuery>;
