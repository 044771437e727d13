/** Enrolment: an agent with a join token becomes a machine (docs/PROTOCOL.md, "Enrolment"). */
import { type Static, Type } from 'typebox';
import { MACHINE_NAME_PATTERN } from './machines/machine-name.ts';

/** POST /agent/v1/enrol, by an agent that has a join token. The agent makes its credential, so that a retry is safe. */
export const EnrolRequestSchema = Type.Object(
  {
    join_token: Type.String({ maxLength: 256, description: 'The join token.', examples: ['xpj_…'] }),
    machine_id: Type.Optional(
      Type.String({ maxLength: 253, description: 'The requested machine id.', examples: ['dm-build-1'] }),
    ),
    name: Type.Optional(
      Type.String({
        pattern: MACHINE_NAME_PATTERN,
        description: 'The name of the machine.',
        examples: ['build-1'],
      }),
    ),
    credential: Type.String({
      pattern: '^xpa_[A-Za-z0-9_-]{43}$',
      description: 'The credential of the agent from now on: the prefix and 256 random bits in base64url.',
      examples: [`xpa_${'A'.repeat(43)}`],
    }),
  },
  { additionalProperties: false, description: 'The request of an agent that enrols.' },
);
export type EnrolRequest = Static<typeof EnrolRequestSchema>;
export const EnrolResponseSchema = Type.Object(
  { machine_id: Type.String({ description: 'The id of its machine.', examples: ['dm-build-1'] }) },
  { description: 'The agent has enrolled.' },
);
export type EnrolResponse = Static<typeof EnrolResponseSchema>;
