/** Batches in the HTTP API: one command on many machines. */
import { type Static, Type } from 'typebox';
import { BATCH_STATUSES } from '../core/decisions/batch.ts';
import { EXECUTION_STATUSES } from '../core/execution-status.ts';
import { LabelsSchema } from '../core/machines/labels.ts';
import { CreateExecutionSchema } from './execution.ts';
import { Include, MachineId, NextCursor, Time } from './fields.ts';

const strict = { additionalProperties: false } as const;
const Count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description, examples: [3] }));

export const BatchSchema = Type.Object(
  {
    batch_id: Type.String({ description: 'The batch.', examples: ['batch-V1StGXR8Z5jdHi6B'] }),
    status: Type.Enum([...BATCH_STATUSES], {
      description: 'succeeded: it succeeded on every machine; failed: it did not succeed on one or more.',
      examples: ['running'],
    }),
    command: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'The argv of its executions; absent while it has none, and once they are deleted. Only with include=command.',
        examples: [['uname', '-a']],
      }),
    ),
    counts: Type.Object(
      {
        pending: Count('Machines that have no execution yet.'),
        ...Object.fromEntries(
          EXECUTION_STATUSES.map((status) => [status, Count(`Machines whose execution is ${status}.`)]),
        ),
      },
      { description: 'Machines by the status of their execution.' },
    ),
    created_at: Time('When it was created.'),
    completed_at: Type.Optional(Time('When its last execution ended.')),
  },
  { description: 'One command on many machines.' },
);
export type BatchWire = Static<typeof BatchSchema>;

export const BatchListSchema = Type.Object(
  { items: Type.Array(BatchSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of batches.' },
);

/** `?include=` of the routes of batches. */
export const BatchInclude = Include(['command'], '`command`: the argv of its executions.');

const { stdin_open: _open, output_mode: _mode, ...command } = CreateExecutionSchema.properties;
/** The fields of a batch that are those of an execution. */
export const CommandOfBatch = command;

export const CreateBatchSchema = Type.Object(
  {
    selector: Type.Object(
      {
        labels: Type.Optional(LabelsSchema),
        machine_ids: Type.Optional(
          Type.Array(MachineId, {
            minItems: 1,
            maxItems: 50_000,
            uniqueItems: true,
            description: 'These machines, in this order.',
            examples: [['dm-web-1', 'dm-web-2']],
          }),
        ),
      },
      { ...strict, description: 'The machines, by labels or by id. The selection is fixed when the batch is created.' },
    ),
    max_concurrency: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        description: 'Maximum number of unfinished executions at a time. Default: 10.',
        examples: [10],
      }),
    ),
    max_failures: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 50_000,
        description:
          'After more failures than this, no more executions are created: the remaining machines count as cancelled. Absent: no limit.',
        examples: [0],
      }),
    ),
    order: Type.Optional(
      Type.Enum(['as_created'], {
        description: 'Machines selected by labels: oldest first.',
        examples: ['as_created'],
      }),
    ),
    ...command,
  },
  { ...strict, description: 'The command to run, and its machines.' },
);
export type CreateBatch = Static<typeof CreateBatchSchema>;
