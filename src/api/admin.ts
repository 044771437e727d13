/** API keys, join tokens and the audit trail in the HTTP API. */
import { type Static, Type } from 'typebox';
import { MAX_SPAN_MS, MachineId, NextCursor, SCOPES, Time } from './fields.ts';
import { AUDIT_ID_PATTERN, NOT_EMPTY_NO_NUL } from './patterns.ts';

const strict = { additionalProperties: false } as const;

const ApiKeyId = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'The key.', examples: ['key-3f2Kd81x'] });
const JoinTokenId = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,64}$',
  description: 'The join token.',
  examples: ['join-9Qm2xT7a'],
});
export const ApiKeyParams = Type.Object({ api_key_id: ApiKeyId });
export const JoinTokenParams = Type.Object({ join_token_id: JoinTokenId });

const ExpiresInMs = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: MAX_SPAN_MS,
    description: 'Time until it expires, in ms.',
    examples: [86_400_000],
  }),
);
const Name = Type.String({
  pattern: NOT_EMPTY_NO_NUL,
  maxLength: 200,
  description: 'A name for people.',
  examples: ['ci'],
});
const Scopes = Type.Array(Type.Enum([...SCOPES]), {
  minItems: 1,
  maxItems: SCOPES.length,
  uniqueItems: true,
  description: 'Its scopes: admin implies every other, executions:write implies executions:read.',
  examples: [['executions:write']],
});
const MachineIds = Type.Optional(
  Type.Array(MachineId, {
    minItems: 1,
    maxItems: 10_000,
    uniqueItems: true,
    description: 'The only machines that it has access to; absent: all.',
    examples: [['dm-build-1']],
  }),
);

export const CreateApiKeySchema = Type.Object(
  { name: Name, scopes: Scopes, machine_ids: MachineIds, expires_in_ms: ExpiresInMs },
  { ...strict, description: 'The API key to make.' },
);
export type CreateApiKey = Static<typeof CreateApiKeySchema>;

const apiKey = {
  api_key_id: ApiKeyId,
  name: Name,
  user: Type.Optional(
    Type.String({
      description:
        'The user who signed in to the console through OpenID Connect; the key is valid as long as that session.',
      examples: ['ada@example.org'],
    }),
  ),
  scopes: Scopes,
  machine_ids: MachineIds,
  created_at: Time('When it was created.'),
  expires_at: Type.Optional(Time('When it expires.')),
  last_used_at: Type.Optional(Time('When it was last used, to the minute.')),
};
export const ApiKeySchema = Type.Object(apiKey, { description: 'An API key, without its secret.' });
export type ApiKeyWire = Static<typeof ApiKeySchema>;
export const CreatedApiKeySchema = Type.Object(
  {
    ...apiKey,
    key: Type.Optional(
      Type.String({ description: 'The key itself; only in this answer, and not in a replay.', examples: ['xpk_…'] }),
    ),
  },
  { description: 'A new API key.' },
);
export type CreatedApiKeyWire = Static<typeof CreatedApiKeySchema>;
export const ApiKeyListSchema = Type.Object(
  { items: Type.Array(ApiKeySchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of API keys.' },
);

export const CreateJoinTokenSchema = Type.Object(
  {
    machine_id: Type.Optional(MachineId),
    reusable: Type.Optional(Type.Boolean({ description: 'May be used more than once.', examples: [false] })),
    expires_in_ms: ExpiresInMs,
  },
  { ...strict, description: 'The join token to make.' },
);
export type CreateJoinToken = Static<typeof CreateJoinTokenSchema>;

const joinToken = {
  join_token_id: JoinTokenId,
  machine_id: Type.Optional(MachineId),
  reusable: Type.Boolean({ description: 'May be used more than once.', examples: [false] }),
  created_at: Time('When it was created.'),
  expires_at: Time('When it expires.'),
};
export const JoinTokenSchema = Type.Object(joinToken, { description: 'A join token, without its secret.' });
export type JoinTokenWire = Static<typeof JoinTokenSchema>;
export const CreatedJoinTokenSchema = Type.Object(
  {
    ...joinToken,
    token: Type.Optional(
      Type.String({ description: 'The token itself; only in this answer, and not in a replay.', examples: ['xpj_…'] }),
    ),
  },
  { description: 'A new join token.' },
);
export type CreatedJoinTokenWire = Static<typeof CreatedJoinTokenSchema>;
export const JoinTokenListSchema = Type.Object(
  { items: Type.Array(JoinTokenSchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of valid join tokens.' },
);

export const AuditEntrySchema = Type.Object(
  {
    audit_id: Type.String({ description: 'The entry.', examples: ['42'] }),
    at: Time('When it happened.'),
    actor: Type.String({
      description: 'API key id, `admin`, `user:NAME` for a user who signed in by name, or `agent:MACHINE_ID`.',
      examples: ['admin'],
    }),
    source: Type.String({ description: 'Address of the client.', examples: ['127.0.0.1'] }),
    action: Type.String({ description: 'The action or attempt.', examples: ['execution.create'] }),
    machine_id: Type.Optional(MachineId),
    resource: Type.Optional(Type.String({ description: 'The id of the resource.', examples: ['exec-V1StGX'] })),
    command: Type.Optional(
      Type.Array(Type.String(), { description: 'The argv of a created execution.', examples: [['uname']] }),
    ),
    command_digest: Type.Optional(
      Type.String({
        description: 'SHA-256 (hex) of the whole argv as JSON, if `command` is only its beginning.',
        examples: ['2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae'],
      }),
    ),
    outcome: Type.String({ description: 'The outcome of the action.', examples: ['created'] }),
  },
  { description: 'An entry of the audit trail.' },
);
export type AuditEntryWire = Static<typeof AuditEntrySchema>;

export const AuditListSchema = Type.Object(
  { items: Type.Array(AuditEntrySchema, { description: 'Newest first.' }), next_cursor: NextCursor },
  { description: 'A page of the audit trail.' },
);

const AuditId = (description: string) => Type.String({ pattern: AUDIT_ID_PATTERN, description, examples: ['42'] });

export const AuditExportQuery = Type.Object({
  after: Type.Optional(AuditId('Only entries after this one: the last one of the export before.')),
});

export const ReleaseAuditSchema = Type.Object(
  { through: AuditId('The last entry of an export that is stored elsewhere.') },
  { ...strict, description: 'The entries that the server may delete.' },
);

export const ReleasedAuditSchema = Type.Object(
  { through: AuditId('Entries up to this one are deleted within a minute or so.') },
  { description: 'The entries that are released.' },
);
export type ReleasedAuditWire = Static<typeof ReleasedAuditSchema>;
