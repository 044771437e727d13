/** What the console asks of its server besides the API: who is signed in. */
import { type Static, Type } from 'typebox';
import { MachineId, SCOPES, Time } from './fields.ts';

export const SignInSchema = Type.Object(
  { key: Type.String({ minLength: 1, maxLength: 4096, description: 'An API key.', examples: ['xpk_…'] }) },
  { additionalProperties: false, description: 'What a session is made of.' },
);

export const ConsoleSessionSchema = Type.Object(
  {
    api_key_id: Type.String({ description: 'The key behind the session; `admin` for the admin key.' }),
    name: Type.Optional(Type.String({ description: 'The name of the key; absent for the admin key.' })),
    scopes: Type.Array(Type.Enum([...SCOPES]), { description: 'What it allows, with all that its scopes imply.' }),
    machine_ids: Type.Optional(Type.Array(MachineId, { description: 'The only machines that it may touch.' })),
    expires_at: Time('When the session ends unless it is used.'),
    version: Type.String({ description: 'Of the server.' }),
  },
  { description: 'Who is signed in to the console.' },
);
export type ConsoleSession = Static<typeof ConsoleSessionSchema>;
