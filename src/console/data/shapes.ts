/** The fields of the answers. Made by "npm run checks" from the schemas of src/api; not to be edited. */

import type { ConsoleOverview, ConsoleSession, SignInWays, WaitingCallbackWire } from '../../api/console.ts';
import type { Shape } from '../../client/http/shape.ts';

export const CONSOLE_OVERVIEW: Shape<ConsoleOverview> = {"machines":{"*":"number"},"executions":{"*":"number"},"oldest_waiting_at?":"string","failing_callbacks":"number","step_ms":"number","points":[{"at":"string","created":"number","succeeded":"number","failed":"number","cancelled":"number","start_p50_ms?":"number","start_p95_ms?":"number"}]};

export const CONSOLE_SESSION: Shape<ConsoleSession> = {"api_key_id":"string","name?":"string","user?":"string","scopes":["string"],"machine_ids?":["string"],"expires_at":"string","version":"string"};

export const SIGN_IN_WAYS: Shape<SignInWays> = {"open_id_connect?":{"provider":"string"}};

export const WAITING_CALLBACK: Shape<WaitingCallbackWire> = {"machine_id":"string","execution_id":"string","url":"string","attempts":"number","created_at":"string","due_at":"string"};
