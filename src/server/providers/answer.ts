/** Parses the answers of hooks: one JSON object, in the format of docs/providers.md. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../../core/json.ts';
import { PROVIDER_STATES } from '../../core/machines/operation.ts';
import type { ProviderAnswer, ProviderRequest } from '../control/lifecycle/provider.ts';

/** Maximum size of an answer. A hook that prints more is ended. */
export const MAX_ANSWER_BYTES = 1_048_576;
const MAX_MESSAGE_CHARS = 500;
const MAX_EXPECTED_MS = 86_400_000;

const AnswerSchema = Type.Union([
  Type.Object({
    ok: Type.Literal(true),
    state: Type.Enum([...PROVIDER_STATES]),
    provider_ref: Type.Optional(Type.String({ maxLength: 1024 })),
    expected_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_EXPECTED_MS })),
  }),
  Type.Object({
    ok: Type.Literal(false),
    error_code: Type.Optional(Type.String({ maxLength: 128 })),
    message: Type.String(),
    retryable: Type.Boolean(),
  }),
]);
const answers = Compile(AnswerSchema);

/** Returns the answer in a text. Undefined if there is none. */
export function readAnswer(text: string): ProviderAnswer | undefined {
  const value = parseJson(text);
  if (!answers.Check(value)) return undefined;
  return answerOf(value);
}

function answerOf(answer: Static<typeof AnswerSchema>): ProviderAnswer {
  if (answer.ok) {
    const { state, provider_ref: providerRef, expected_ms: expectedMs } = answer;
    return {
      ok: true,
      state,
      ...(providerRef === undefined ? {} : { providerRef }),
      ...(expectedMs === undefined ? {} : { expectedMs }),
    };
  }
  const { error_code: code, message, retryable } = answer;
  return failure(code === undefined ? message : `${code}: ${message}`, retryable);
}

/** Names of variables whose values are secrets, such as HCLOUD_TOKEN. */
const SECRET_NAME = /TOKEN|SECRET|PASS|CREDENTIAL|KEY/i;
/** Shorter values are no secrets, and may occur in any text. */
const MIN_SECRET_CHARS = 8;

/** Returns the text of a hook without the join token of its request. Errors of hooks are shown to all who may read the machine, and are logged. */
export function withoutToken(text: string, { join_token: token }: ProviderRequest): string {
  return token === undefined ? text : text.replaceAll(token, '(join token)');
}

/** Returns the text of a hook without the secrets of its environment, for the same reason. */
export function withoutSecrets(text: string, env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .filter(([name, value]) => SECRET_NAME.test(name) && value.length >= MIN_SECRET_CHARS)
    .reduce((cleaned, [name, value]) => cleaned.replaceAll(value, `(${name})`), text);
}

/** Returns a failure with a message of bounded length, on one line. */
export function failure(message: string, retryable: boolean): ProviderAnswer {
  return { ok: false, message: message.replace(/\s+/g, ' ').trim().slice(0, MAX_MESSAGE_CHARS), retryable };
}
