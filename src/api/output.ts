/** The output of an execution in the HTTP API. */
import { type Static, Type } from 'typebox';
import { Bytes, Encoding, ExecutionId, Include, Tail } from './fields.ts';

export const ExecutionOutputSchema = Type.Object(
  {
    execution_id: ExecutionId,
    stdout: Type.String({ description: 'The kept part of stdout.', examples: ['hello\n'] }),
    stderr: Type.String({ description: 'The kept part of stderr.', examples: [''] }),
    stdout_bytes: Bytes('Bytes written to stdout, including any not kept.'),
    stderr_bytes: Bytes('Bytes written to stderr, including any not kept.'),
    stdout_tail: Type.Optional(
      Type.String({
        description:
          'The end of a stdout that is truncated: its last bytes, at most 64 KiB, none of which are in `stdout`. Only with `include=tail`, if the agent reported it.',
        examples: ['done\n'],
      }),
    ),
    stderr_tail: Type.Optional(Type.String({ description: 'The same for stderr.', examples: ['done\n'] })),
    stdout_truncated: Type.Boolean({ description: 'Some bytes of stdout were not kept.', examples: [false] }),
    stderr_truncated: Type.Boolean({ description: 'Some bytes of stderr were not kept.', examples: [false] }),
  },
  { description: 'The whole output of a finished execution.' },
);
export type ExecutionOutputWire = Static<typeof ExecutionOutputSchema>;

export const OutputQuery = Type.Object({
  include: Include(['tail'], '`tail`: the end of a truncated stream.'),
  encoding: Encoding,
  tail: Tail,
});
export type OutputQuery = Static<typeof OutputQuery>;

const MergedOffset = (stream: string) =>
  Type.Optional(
    Type.Integer({
      minimum: 0,
      description: `Offset of the first byte of ${stream} (0-based), to resume a connection that broke off.`,
      examples: [1_048_576],
    }),
  );

export const MergedOutputQuery = Type.Object({
  stdout_offset: MergedOffset('stdout'),
  stderr_offset: MergedOffset('stderr'),
});

export const RawOutputQuery = Type.Object({
  tail: Tail,
  offset: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'Offset of the first byte (0-based). Not together with tail or Range.',
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
