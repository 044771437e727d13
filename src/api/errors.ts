/** The two shapes of an error in the HTTP API. */
import { Type } from 'typebox';
import { API_ERRORS, type ApiErrorCode } from '../core/errors.ts';

export const ErrorSchema = Type.Object(
  {
    error_code: Type.Enum(Object.keys(API_ERRORS) as ApiErrorCode[], {
      description: 'The error code for programs.',
      examples: ['RATE_LIMITED'],
    }),
    message: Type.String({
      description: 'The error message for people.',
      examples: ['Too many requests: try again later.'],
    }),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.', examples: [true] }),
    retry_after_ms: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 60_000,
        description: 'Time after which to try again, in ms.',
        examples: [1000],
      }),
    ),
    details: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'More details for programs.',
        examples: [{ reason: 'not_open' }],
      }),
    ),
  },
  { description: 'A refusal with a registered code: 401, 403, 409, 429, 503.' },
);

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: 'uri', description: 'Always about:blank.', examples: ['about:blank'] }),
    title: Type.String({ description: 'The status in words.', examples: ['Unprocessable Entity'] }),
    status: Type.Integer({ description: 'The status.', examples: [422] }),
    detail: Type.String({ description: 'The error.', examples: ['The request does not fit its schema.'] }),
    instance: Type.Optional(
      Type.String({
        format: 'uri',
        description: 'Identifies this answer; it contains the request id.',
        examples: ['urn:execplane:request:req-8Kd2xq-1f'],
      }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            location: Type.String({ description: 'The field.', examples: ['body.command[1]'] }),
            message: Type.String({ description: 'The error of the field.', examples: ['must not contain NUL'] }),
            value: Type.Optional(
              Type.Unknown({ description: 'The value that was sent, unless it could be a secret.', examples: [-1] }),
            ),
          },
          { description: 'An invalid field.' },
        ),
        { description: 'The invalid fields.' },
      ),
    ),
  },
  { description: 'Any other refusal (RFC 9457).' },
);
