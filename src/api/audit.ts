/** The audit trail, as it travels. */
import { type Static, Type } from 'typebox';
import { MachineId, NextCursor, Time } from './fields.ts';

export const AuditEntrySchema = Type.Object(
  {
    audit_id: Type.String({ description: 'The entry.', examples: ['42'] }),
    at: Time('When it happened.'),
    actor: Type.String({ description: 'API key id, `admin`, or `agent:MACHINE_ID`.', examples: ['admin'] }),
    source: Type.String({ description: 'Address of the client.', examples: ['127.0.0.1'] }),
    action: Type.String({ description: 'What was done or tried.', examples: ['execution.create'] }),
    machine_id: Type.Optional(MachineId),
    resource: Type.Optional(Type.String({ description: 'The id of what it was done to.', examples: ['exec-V1StGX'] })),
    command: Type.Optional(
      Type.Array(Type.String(), { description: 'The argv of a created execution.', examples: [['uname']] }),
    ),
    outcome: Type.String({ description: 'What came of it.', examples: ['created'] }),
  },
  { description: 'Who did what, when, from where.' },
);
export type AuditEntryWire = Static<typeof AuditEntrySchema>;

export const AuditListSchema = Type.Object(
  { items: Type.Array(AuditEntrySchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of the audit trail.' },
);
