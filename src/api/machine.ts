/** Machine, as it travels. */
import { type Static, Type } from 'typebox';
import { DESIRED_STATES, MACHINE_PHASES, MACHINE_REASONS } from '../core/machine.ts';
import { MachineId, NextCursor, Time } from './fields.ts';

const detail = {
  machine_id: MachineId,
  vcpu: Type.Number({ description: 'Processors, as its agent reported; 0 before it first joined.', examples: [4] }),
  memory_mib: Type.Integer({ description: 'Memory in MiB, likewise.', examples: [16_384] }),
  storage_gib: Type.Integer({ description: 'Storage in GiB, likewise.', examples: [100] }),
  autosleep_seconds: Type.Integer({
    description: 'Always 0: machines here do not sleep by themselves.',
    examples: [0],
  }),
  desired_state: Type.Enum([...DESIRED_STATES], {
    description: 'What it is meant to be.',
    examples: ['running'],
  }),
  status: Type.Object(
    {
      phase: Type.Enum([...MACHINE_PHASES], {
        description: 'running: its agent is connected; sleeping: it is away, or was put to sleep.',
        examples: ['running'],
      }),
      reason: Type.Enum([...MACHINE_REASONS], {
        description: 'Why it is in this phase.',
        examples: ['agent_connected'],
      }),
      retryable: Type.Boolean({ description: 'Whether it may come back to running.', examples: [true] }),
      revision: Type.String({ description: 'Changes with every transition.', examples: ['7'] }),
      last_transition_at: Time('When the phase changed last.'),
      last_progress_at: Time('When its agent was heard of last.'),
      last_error: Type.Optional(Type.String({ description: 'What went wrong last.', examples: ['link lost'] })),
    },
    { description: 'What it is.' },
  ),
};

export const MachineDetailSchema = Type.Object(detail, { description: 'A machine.' });
export const MachineSchema = Type.Object(
  { ...detail, created_at: Time('When it was first named.') },
  { description: 'A machine in a list.' },
);
export type MachineWire = Static<typeof MachineSchema>;

export const MachineListSchema = Type.Object(
  { items: Type.Array(MachineSchema, { description: 'Oldest first.' }), next_cursor: NextCursor },
  { description: 'A page of machines.' },
);
