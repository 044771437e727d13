/** Run of a schedule on the wire: the outcome of one tick. */
import { type Static, Type } from 'typebox';
import { RUN_OUTCOMES } from '../../core/schedule.ts';
import { BatchSchema } from '../batch.ts';
import { NextCursor, Time } from '../fields.ts';

export const ScheduleRunSchema = Type.Object(
  {
    due_at: Time('When it was due.'),
    decided_at: Time('When its outcome was decided.'),
    outcome: Type.Enum([...RUN_OUTCOMES], {
      description:
        'started: it has a batch; starting, queued: it gets one; skipped, missed, refused: it has none, and reason says why.',
      examples: ['started'],
    }),
    reason: Type.Optional(
      Type.String({ description: 'overlap, no_machines, paused, key_queue_full, key_revoked.', examples: ['overlap'] }),
    ),
    batch: Type.Optional(BatchSchema),
  },
  { description: 'The outcome of one tick of a schedule.' },
);
export type ScheduleRunWire = Static<typeof ScheduleRunSchema>;

export const ScheduleRunListSchema = Type.Object(
  { items: Type.Array(ScheduleRunSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of the runs of a schedule.' },
);
