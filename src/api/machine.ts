/** The machine in the HTTP API. */
import { type Static, Type } from 'typebox';
import { DESIRED_STATES, MACHINE_PHASES, MACHINE_REASONS } from '../core/machines/machine.ts';
import { AUTOSLEEP_PATTERN } from '../core/machines/autosleep.ts';
import { LabelsSchema } from '../core/machines/labels.ts';
import { MACHINE_NAME_PATTERN } from '../core/machines/machine-name.ts';
import { Include, LabelQuery, MachineId, NextCursor, pageQuery, ReasonSchema, Time } from './fields.ts';
import { ATTRIBUTE_NAME_PATTERN, MACHINE_ID_PATTERN, NO_NUL } from './patterns.ts';

const detail = {
  machine_id: MachineId,
  vcpu: Type.Number({
    description:
      'Processors: as requested, or as reported by its agent if it has no provider; 0 before it first joined.',
    examples: [4],
  }),
  memory_mib: Type.Integer({ description: 'Memory in MiB, likewise.', examples: [16_384] }),
  storage_gib: Type.Integer({ description: 'Storage in GiB, likewise.', examples: [100] }),
  autosleep_seconds: Type.Integer({
    description: 'Idle time after which it is put to sleep, if its provider can do that; 0: never.',
    examples: [1800],
  }),
  desired_state: Type.Enum([...DESIRED_STATES], {
    description: 'The desired state.',
    examples: ['running'],
  }),
  status: Type.Object(
    {
      phase: Type.Enum([...MACHINE_PHASES], {
        description: 'running: its agent is connected; sleeping: its agent is offline, or it was put to sleep.',
        examples: ['running'],
      }),
      reason: Type.Enum([...MACHINE_REASONS], {
        description: 'The reason for this phase.',
        examples: ['agent_connected'],
      }),
      retryable: Type.Boolean({ description: 'Whether it may come back to running.', examples: [true] }),
      revision: Type.String({ description: 'Changes with every transition.', examples: ['7'] }),
      last_transition_at: Time('When the phase last changed.'),
      last_progress_at: Time('When its agent last sent something.'),
      last_error: Type.Optional(Type.String({ description: 'The last error.', examples: ['link lost'] })),
    },
    { description: 'The present state.' },
  ),
};

const Name = Type.String({
  pattern: MACHINE_NAME_PATTERN,
  description: 'Name for people: a-z, 0-9, dots, hyphens. It is unique among machines that are not removed.',
  examples: ['web-1'],
});
/** Fields of a machine that are present only if the request asks for them. */
const MACHINE_INCLUDES = ['name', 'labels', 'facts', 'provider', 'reason'] as const;
export type MachineInclude = readonly (typeof MACHINE_INCLUDES)[number][];

const included = {
  provider: Type.Optional(
    Type.String({
      description: 'Its provider; absent: none, an agent joined by itself. Only with include=provider.',
      examples: ['docker'],
    }),
  ),
  reason: Type.Optional(ReasonSchema),
  name: Type.Optional(Name),
  labels: Type.Optional(LabelsSchema),
  facts: Type.Optional(
    Type.Object(
      {
        hostname: Type.String({ description: 'The name of the host.', examples: ['web-1'] }),
        os: Type.String({ description: 'Its operating system, as Node calls it.', examples: ['linux'] }),
        arch: Type.String({ description: 'Its architecture, as Node calls it.', examples: ['x64'] }),
        agent_version: Type.String({ description: 'The version of the agent.', examples: ['0.1.0'] }),
      },
      { description: 'Facts that its agent last reported. Only with include=facts.' },
    ),
  ),
};

export const MachineDetailSchema = Type.Object({ ...detail, ...included }, { description: 'A machine.' });
export type MachineDetailWire = Static<typeof MachineDetailSchema>;
export const MachineSchema = Type.Object(
  { ...detail, ...included, created_at: Time('When it was created.') },
  { description: 'A machine in a list.' },
);
export type MachineWire = Static<typeof MachineSchema>;

export const MachineListSchema = Type.Object(
  { items: Type.Array(MachineSchema, { description: 'Oldest first.' }), next_cursor: NextCursor },
  { description: 'A page of machines.' },
);

export const MachineQuery = Type.Object({
  include: Include(MACHINE_INCLUDES, '`reason`: why it is in its state.'),
});
export const MachineListQuery = Type.Object({
  ...pageQuery(50, 500),
  ...MachineQuery.properties,
  name: Type.Optional(Type.String({ description: 'Only the machine with this name.', examples: ['web-1'] })),
  label: LabelQuery,
});

const strict = { additionalProperties: false } as const;
/** Text, so that it can go unchanged into a settings file, an environment or a tag of a cloud. */
const Attributes = Type.Record(
  Type.String({ pattern: ATTRIBUTE_NAME_PATTERN }),
  Type.String({ pattern: NO_NUL, maxLength: 4096 }),
  {
    ...strict,
    maxProperties: 64,
    description: 'Attributes for the provider, which defines the accepted ones.',
    examples: [{ image: 'debian-12' }],
  },
);
const settings = {
  name: Type.Optional(Name),
  vcpu: Type.Optional(
    Type.Number({ exclusiveMinimum: 0, multipleOf: 0.25, maximum: 4096, description: 'Processors.', examples: [2] }),
  ),
  memory_mib: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 2 ** 40, description: 'Memory in MiB.', examples: [4096] }),
  ),
  storage_gib: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 2 ** 40, description: 'Storage in GiB; it can only grow.', examples: [20] }),
  ),
  autosleep: Type.Optional(
    Type.String({
      pattern: AUTOSLEEP_PATTERN,
      maxLength: 64,
      description: 'Idle time after which it is put to sleep: never, seconds, or such as 7d3h4s.',
      examples: ['30m'],
    }),
  ),
  attributes: Type.Optional(Attributes),
  labels: Type.Optional(LabelsSchema),
};

export const CreateMachineSchema = Type.Object(
  {
    ...settings,
    machine_id: Type.Optional(
      Type.String({
        pattern: MACHINE_ID_PATTERN,
        minLength: 4,
        maxLength: 253,
        description: 'Its id, which was never used before; absent: the server generates one.',
        examples: ['dm-build-1'],
      }),
    ),
    provider: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 63,
        description:
          "The provider that creates it. Absent: the server's default provider; if there is none, an agent joins with a token.",
        examples: ['docker'],
      }),
    ),
  },
  { ...strict, description: 'The machine to make.' },
);
export type CreateMachine = Static<typeof CreateMachineSchema>;

export const UpdateMachineSchema = Type.Object(settings, {
  ...strict,
  description: 'The changes. Absent fields stay unchanged.',
});
export type UpdateMachine = Static<typeof UpdateMachineSchema>;
