/** The output of an execution, as it travels. */
import { type Static, Type } from 'typebox';
import { Bytes, Encoding, ExecutionId, Tail } from './fields.ts';

export const ExecutionOutputSchema = Type.Object(
  {
    execution_id: ExecutionId,
    stdout: Type.String({ description: 'What is kept of stdout.', examples: ['hello\n'] }),
    stderr: Type.String({ description: 'What is kept of stderr.', examples: [''] }),
    stdout_bytes: Bytes('Bytes written to stdout, including any not kept.'),
    stderr_bytes: Bytes('Bytes written to stderr, including any not kept.'),
    stdout_tail: Type.Optional(
      Type.String({
        description:
          'The end of a stdout that is truncated: its last bytes, at most 64 KiB, none of which are in `stdout`. With `include=tail`, unless the agent could not tell.',
        examples: ['done\n'],
      }),
    ),
    stderr_tail: Type.Optional(Type.String({ description: 'The same of stderr.', examples: ['done\n'] })),
    stdout_truncated: Type.Boolean({ description: 'Some bytes of stdout were not kept.', examples: [false] }),
    stderr_truncated: Type.Boolean({ description: 'Some bytes of stderr were not kept.', examples: [false] }),
  },
  { description: 'All the output of a finished execution.' },
);
export type ExecutionOutputWire = Static<typeof ExecutionOutputSchema>;

export const OutputQuery = Type.Object({
  include: Type.Optional(
    Type.Array(Type.Enum(['tail']), {
      description: 'What the answer holds as well: `tail`, the end of a stream that is truncated.',
      examples: [['tail']],
    }),
  ),
  encoding: Encoding,
  tail: Tail,
});
export type OutputQuery = Static<typeof OutputQuery>;

export const RawOutputQuery = Type.Object({
  tail: Tail,
  offset: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'From this byte of the stream on (0-based); not together with tail or Range.',
      examples: [1_048_576],
    }),
  ),
  release: Type.Optional(
    Type.Boolean({
      description:
        'All bytes before `offset` have arrived: the server deletes them, and the command may produce more. For executions with output_mode "stream"; needs the scope executions:write.',
      examples: [true],
    }),
  ),
  follow: Type.Optional(
    Type.Boolean({ description: 'Send bytes as they come, until the execution ends.', examples: [true] }),
  ),
});
export type RawOutputQuery = Static<typeof RawOutputQuery>;
