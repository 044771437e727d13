/** Errors with an `application/problem+json` body: all but 401, 403, 409, 429 and 503. */
import { STATUS_CODES } from 'node:http';

/** An invalid field. `value` is present only if it cannot be a secret. */
export interface FieldError {
  /** Path of the field, such as `body.command[1]`, `body.env.PATH`, `query.limit`. */
  location: string;
  message: string;
  value?: string | number | boolean | null;
}

/** Thrown by a route to refuse a request without a registered code. */
export class Problem extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[] | undefined;
  /** Headers that belong to this refusal, such as Content-Range on a 416. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(
    status: number,
    detail: string,
    options: { errors?: readonly FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.errors = options.errors;
    this.headers = options.headers;
  }
}

/** Returns the body of a problem, as sent. `requestId` makes its `instance`. */
export function problemBody(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    instance: `urn:execplane:request:${requestId}`,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
}

/** Whether the same request may succeed a little later. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status >= 500;
}

/** 404 for an unknown route, a wrong method, a malformed id, an unknown resource. */
export function notFound(detail = 'The resource does not exist.'): Problem {
  return new Problem(404, detail);
}

/** 422 for fields that fail their schema. */
export function invalid(errors: readonly FieldError[]): Problem {
  return new Problem(422, 'The request does not match its schema: see errors.', { errors });
}
